import { Button, Modal } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate, useParams } from "react-router";

import { Failure, type Schemas } from "../api/client";
import { useSavedSearch, useSearchAction, type SearchAction } from "../api/queries";
import { INTERVALS } from "../explore/SaveSearch";
import { Icon } from "../parts/Icon";
import { Facts, PageHead } from "../parts/Page";
import { Table } from "../parts/Rows";
import { Empty, Loaded } from "../parts/states";
import { number } from "../parts/text";
import { Said, Time } from "../parts/values";
import { Plain } from "../parts/words";
import { NoticeState } from "./Notices";
import { Standing } from "./SavedSearches";

/** A saved search: what it watches, what it told, and what became of that. */
export function SavedSearchPage() {
  const { t } = useTranslation();
  const { id = "" } = useParams();
  const query = useSavedSearch(id);
  const search = query.data?.search;
  return (
    <>
      <PageHead
        crumb={{ to: "/searches", text: t("searches.title") }}
        name={search?.name ?? t("searches.title")}
        title={search ? <Said value={search.name} /> : t("searches.title")}
        lead={search && <code><Said value={search.query || t("searches.everything")} /></code>}
      >
        {search?.may_change && <Actions search={search} />}
        {search && <Link to={`/search?q=${encodeURIComponent(search.query)}`}>{t("searches.explore")}</Link>}
      </PageHead>
      <Loaded query={query} lines={10}>
        {({ search, alerts }) => (
          <>
            {alerts.some(({ deliveries }) => deliveries.some(({ state }) => state === "delivery-uncertain")) && (
              <div className="notice" role="note" style={{ marginBottom: "1rem" }}>
                <Icon name="alert" />
                <span>{t("notices.uncertain")}</span>
              </div>
            )}
            <div className="wide">
              <section>
                <h2 style={{ marginBottom: "0.5rem" }}>{t("searches.alerts")}</h2>
                {alerts.length === 0 ? (
                  <div className="sheet">
                    <Empty title={t("searches.noAlertsTitle")} text={t("searches.noAlerts")} />
                  </div>
                ) : (
                  alerts.map((alert) => <Alert key={alert.alert_id} alert={alert} />)
                )}
              </section>
              <aside className="sheet pad" aria-label={t("common.details")}>
                <Facts
                  stack
                  rows={[
                    [t("searches.state"), <Standing key="s" search={search} />],
                    [t("searches.services"), number(search.services)],
                    [t("searches.lookedAt"), <Time key="l" at={search.looked_at} seconds />],
                    [t("searches.alertedAt"), <Time key="a" at={search.alerted_at} seconds />],
                    [
                      t("searches.on"),
                      <span key="o" title={t(`watchMeaning.${search.on}`)}>
                        <Plain list="watch" word={search.on} />
                        {search.threshold && ` ${number(search.threshold)}`}
                      </span>,
                    ],
                    [t("searches.mails"), search.mails.length > 0 && search.mails.join(", ")],
                    [t("searches.webhook"), search.webhook && <code>{search.webhook}</code>],
                    [
                      t("searches.interval"),
                      INTERVALS.some((known) => known === search.interval_s)
                        ? t(`interval.${search.interval_s}`)
                        : t("searches.seconds", { n: number(search.interval_s) }),
                    ],
                    [t("searches.language"), <Plain key="g" list="language" word={search.language} />],
                    [t("searches.owner"), search.owner],
                    [t("searches.createdAt"), <Time key="c" at={search.created_at} />],
                  ]}
                />
              </aside>
            </div>
          </>
        )}
      </Loaded>
    </>
  );
}

function Alert({ alert }: { alert: Schemas["AlertRow"] }) {
  const { t } = useTranslation();
  const counts = t("searches.counts", {
    services: number(alert.services),
    added: number(alert.added),
    gone: number(alert.gone),
  });
  return (
    <article className="sheet alert" aria-label={alert.at}>
      <header className="pad">
        <Time at={alert.at} seconds /> <Plain list="turn" word={alert.turn} />{" "}
        <span className="quiet small">{counts}</span>
        <ul className="deliveries">
          {alert.deliveries.map((delivery) => (
            <li key={delivery.message_id}>
              <NoticeState word={delivery.state} /> <Plain list="channel" word={delivery.channel} />{" "}
              <code>{delivery.target}</code>
              {delivery.state !== "sent" && delivery.detail && (
                <span className="under">
                  <Said value={delivery.detail} /> ({t("searches.attempts", { count: delivery.attempts })})
                </span>
              )}
            </li>
          ))}
        </ul>
      </header>
      {alert.items.length > 0 && (
        <Table
          caption={`${t("searches.alert")} ${alert.at}`}
          rows={alert.items}
          id={(item) => `${item.addr} ${item.port} ${item.transport} ${item.protocol ?? ""}`}
          columns={[
            { name: t("searches.change"), cell: (item) => <span className="nowrap">{t(item.gone ? "searches.gone" : "searches.new")}</span> },
            {
              name: t("field.ip"),
              head: true,
              cell: (item) => <Link to={`/hosts/${encodeURIComponent(item.addr)}`}>{item.addr}</Link>,
            },
            { name: t("field.port"), num: true, cell: (item) => item.port },
            { name: t("field.protocol"), cell: (item) => item.protocol ?? item.transport },
            { name: t("search.device"), cell: (item) => item.product && <Said value={item.product} /> },
            {
              name: t("search.says"),
              cell: (item) => (
                <div className="says">{item.says && <Said value={item.says} />}</div>
              ),
            },
          ]}
        />
      )}
    </article>
  );
}

/** What may be done with it; deleting asks first. */
function Actions({ search }: { search: Schemas["SavedSearchRow"] }) {
  const { t, i18n } = useTranslation();
  const navigate = useNavigate();
  const action = useSearchAction(search.search_id);
  const [asked, setAsked] = useState(false);
  const failure = action.error instanceof Failure ? action.error : null;
  const act = (wanted: SearchAction) => action.mutate(wanted);
  const looked = action.data?.looked;
  return (
    <>
      <span role="status" className="small">
        {looked && t(`look.${looked.outcome}`)}
        {failure && (i18n.exists(`problem.${failure.code}`) ? t(`problem.${failure.code}`) : failure.message)}
      </span>
      <Button size="xs" variant="default" disabled={!search.enabled} loading={action.isPending} onClick={() => act("check")}>
        {t("searches.check")}
      </Button>
      <Button size="xs" variant="default" onClick={() => act(search.enabled ? "disable" : "enable")}>
        {t(search.enabled ? "searches.disable" : "searches.enable")}
      </Button>
      <Button size="xs" variant="default" onClick={() => setAsked(true)}>
        {t("searches.delete")}
      </Button>
      {asked && (
        <Modal
          closeButtonProps={{ "aria-label": t("common.cancel") }}
          opened
          onClose={() => setAsked(false)}
          title={t("searches.deleteTitle")}
          centered
          size="md"
          transitionProps={{ duration: 0 }}
        >
          <div className="stack">
            <p>{t("searches.deleteText")}</p>
            <div className="end">
              <Button variant="default" size="sm" onClick={() => setAsked(false)} data-autofocus>
                {t("common.cancel")}
              </Button>
              <Button
                size="sm"
                loading={action.isPending}
                onClick={() => action.mutate("delete", { onSuccess: () => void navigate("/searches") })}
              >
                {t("searches.delete")}
              </Button>
            </div>
          </div>
        </Modal>
      )}
    </>
  );
}
