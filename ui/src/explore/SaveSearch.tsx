// Saves the query that is shown, and says who is told when its answer changes.

import { Button, Modal, NativeSelect, TextInput } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { Failure, type Schemas } from "../api/client";
import { useSaveSearch } from "../api/queries";
import { LANGUAGES } from "../i18n";
import { Icon } from "../parts/Icon";
import { number } from "../parts/text";
import { Said } from "../parts/values";

export const WATCHES = ["new", "gone", "any", "count"] as const;
/** Seconds between two alerts, as they are offered. */
export const INTERVALS = [600, 3600, 21_600, 86_400, 604_800] as const;
const MAILS_MAX = 5;

export function SaveSearch({ query }: { query: string }) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button size="xs" variant="default" onClick={() => setOpen(true)}>
        {t("searches.save")}
      </Button>
      {open && <Form query={query} close={() => setOpen(false)} />}
    </>
  );
}

function Form({ query, close }: { query: string; close: () => void }) {
  const { t, i18n } = useTranslation();
  const saving = useSaveSearch();
  const [name, setName] = useState(query.slice(0, 100));
  const [on, setOn] = useState<(typeof WATCHES)[number]>("new");
  const [threshold, setThreshold] = useState("");
  const [mails, setMails] = useState("");
  const [webhook, setWebhook] = useState("");
  const [interval, setInterval] = useState("3600");
  const [language, setLanguage] = useState(i18n.language);
  const failure = saving.error instanceof Failure ? saving.error : null;
  const addresses = mails.split(/[,;\s]+/).filter(Boolean);
  const complete = name.trim() !== "" && (addresses.length > 0 || webhook.trim() !== "");

  return (
    <Modal
      closeButtonProps={{ "aria-label": t("common.cancel") }}
      opened
      onClose={close}
      title={t("searches.saveTitle")}
      centered
      size="md"
      transitionProps={{ duration: 0 }}
    >
      {saving.data ? (
        <Done made={saving.data} close={close} />
      ) : (
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            saving.mutate({
              name,
              query,
              on,
              threshold: on === "count" ? Number(threshold) : null,
              mails: addresses,
              webhook: webhook.trim() || null,
              interval_s: Number(interval),
              language,
            });
          }}
        >
          <p className="small quiet">
            <code>{query || t("searches.everything")}</code>
          </p>
          <TextInput
            label={t("searches.name")}
            required
            withAsterisk={false}
            data-autofocus
            maxLength={100}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <NativeSelect
            label={t("searches.on")}
            description={t(`watchMeaning.${on}`)}
            value={on}
            data={WATCHES.map((word) => ({ value: word, label: t(`watch.${word}`) }))}
            onChange={(event) => setOn(event.currentTarget.value as typeof on)}
          />
          {on === "count" && (
            <TextInput
              label={t("searches.threshold")}
              type="number"
              min={1}
              required
              withAsterisk={false}
              value={threshold}
              onChange={(event) => setThreshold(event.currentTarget.value)}
            />
          )}
          <TextInput
            label={t("searches.mails")}
            description={t("searches.mailsHelp", { count: MAILS_MAX })}
            inputMode="email"
            autoComplete="email"
            value={mails}
            onChange={(event) => setMails(event.currentTarget.value)}
          />
          <TextInput
            label={t("searches.webhook")}
            description={t("searches.webhookHelp")}
            type="url"
            placeholder="https://"
            maxLength={500}
            value={webhook}
            onChange={(event) => setWebhook(event.currentTarget.value)}
          />
          <div className="two">
            <NativeSelect
              label={t("searches.interval")}
              value={interval}
              data={INTERVALS.map((seconds) => ({ value: String(seconds), label: t(`interval.${seconds}`) }))}
              onChange={(event) => setInterval(event.currentTarget.value)}
            />
            <NativeSelect
              label={t("searches.language")}
              value={language}
              data={Object.entries(LANGUAGES).map(([tag, label]) => ({ value: tag, label }))}
              onChange={(event) => setLanguage(event.currentTarget.value)}
            />
          </div>
          {failure && (
            <div className="notice" role="alert">
              <Icon name="alert" />
              <span>
                {i18n.exists(`problem.${failure.code}`) ? t(`problem.${failure.code}`) : failure.message}
                {failure.detail && (
                  <span className="under">
                    {t("problem.server")}: <Said value={failure.detail} />
                  </span>
                )}
              </span>
            </div>
          )}
          <div className="end">
            <Button variant="default" onClick={close} size="sm">
              {t("common.cancel")}
            </Button>
            <Button type="submit" size="sm" loading={saving.isPending} disabled={!complete}>
              {t("searches.saveDo")}
            </Button>
          </div>
        </form>
      )}
    </Modal>
  );
}

/** What was saved, and the secret, which is shown here and nowhere else. */
function Done({ made, close }: { made: Schemas["SavedSearchMade"]; close: () => void }) {
  const { t } = useTranslation();
  const [copied, setCopied] = useState(false);
  const { secret } = made;
  return (
    <div className="stack">
      <p role="status">{t("searches.saved", { count: made.search.services, n: number(made.search.services) })}</p>
      {secret && (
        <div>
          <p>{t("searches.secret")}</p>
          <p className="secret">
            <code>{secret}</code>{" "}
            <Button
              size="xs"
              variant="default"
              onClick={() => void navigator.clipboard?.writeText(secret).then(() => setCopied(true))}
            >
              {t(copied ? "common.copied" : "common.copy")}
            </Button>
          </p>
        </div>
      )}
      <div className="end">
        <Link to={`/searches/${made.search.search_id}`}>{t("searches.open")}</Link>
        <Button size="sm" onClick={close} data-autofocus>
          {t("searches.close")}
        </Button>
      </div>
    </div>
  );
}
