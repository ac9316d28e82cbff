// What may be done with a case, each act behind a confirmation that says what it means.

import { Button, Modal, NativeSelect, Textarea } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";

import { Failure, type Schemas } from "../api/client";
import { useCaseAction, type CaseAction } from "../api/queries";
import { Icon } from "./Icon";
import { Said } from "./values";

type Act = CaseAction["act"];

export function CaseActions({
  detail,
  me,
  done,
}: {
  detail: Schemas["CaseDetail"];
  me: Schemas["Me"];
  done: (said: string | null) => void;
}) {
  const { t } = useTranslation();
  const [asked, setAsked] = useState<Act | null>(null);
  if (detail.actions.length === 0) return <span className="small faint">{t("cases.actionsNone")}</span>;
  return (
    <>
      {detail.actions.map((act) => (
        <Button key={act} size="xs" variant="default" onClick={() => setAsked(act)}>
          {t(`cases.${act}`)}
        </Button>
      ))}
      {asked && <Confirm key={asked} act={asked} detail={detail} me={me} close={() => setAsked(null)} done={done} />}
    </>
  );
}

function Confirm({
  act,
  detail,
  me,
  close,
  done,
}: {
  act: Act;
  detail: Schemas["CaseDetail"];
  me: Schemas["Me"];
  close: () => void;
  done: (said: string | null) => void;
}) {
  const { t, i18n } = useTranslation();
  const action = useCaseAction(detail.case.case_id);
  const [note, setNote] = useState("");
  const [reason, setReason] = useState(detail.close_reasons[0] ?? "false-positive");
  const needed = act === "dispute" || act === "close";
  const failure = action.error instanceof Failure ? action.error : null;

  const send = () => {
    const body: CaseAction =
      act === "recheck" ? { act } : act === "close" ? { act, note, reason } : { act, note };
    action.mutate(body, {
      onSuccess: (answer) => {
        close();
        done(answer.job_id ? t("cases.recheckDone", { job: answer.job_id }) : null);
      },
    });
  };
  return (
    <Modal
        closeButtonProps={{ "aria-label": t("common.cancel") }} opened onClose={close} title={t(`cases.${act}Title`)} centered size="md" transitionProps={{ duration: 0 }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
        style={{ display: "flex", flexDirection: "column", gap: "0.875rem" }}
      >
        <p>{t(`cases.${act}Text`)}</p>
        {act === "close" && (
          <NativeSelect
            label={t("cases.chooseReason")}
            value={reason}
            data={detail.close_reasons.map((word) => ({ value: word, label: t(`reason.${word}`) }))}
            onChange={(event) => setReason(event.currentTarget.value as typeof reason)}
          />
        )}
        {act !== "recheck" && (
          <Textarea
            label={t("cases.note")}
            description={needed ? t("cases.noteNeeded") : t("cases.noteOptional")}
            required={needed}
            withAsterisk={false}
            data-autofocus
            autosize
            minRows={3}
            maxRows={8}
            maxLength={2000}
            value={note}
            onChange={(event) => setNote(event.currentTarget.value)}
          />
        )}
        <p className="small quiet">{t("cases.asRole", { role: t(`role.${me.role}`), name: me.name })}</p>
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
        <div style={{ display: "flex", justifyContent: "flex-end", gap: "0.5rem" }}>
          <Button variant="default" onClick={close} size="sm">
            {t("common.cancel")}
          </Button>
          <Button type="submit" size="sm" loading={action.isPending} disabled={needed && note.trim() === ""}>
            {t(`cases.${act}`)}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
