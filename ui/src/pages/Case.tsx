import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useOutletContext, useParams } from "react-router";

import type { Schemas } from "../api/client";
import { useCase } from "../api/queries";
import { CaseActions } from "../parts/CaseActions";
import { Icon } from "../parts/Icon";
import { Facts, PageHead, Section } from "../parts/Page";
import { Table } from "../parts/Rows";
import { Loaded } from "../parts/states";
import { SurveyLink } from "../parts/SurveyLink";
import { Said, Time } from "../parts/values";
import { Condition, FindingState, Plain, Severity, Stage } from "../parts/words";
import { NoticeState } from "./Notices";

type Detail = Schemas["CaseDetail"];
type Event = Schemas["TrailRow"];

export function CasePage() {
  const { t } = useTranslation();
  const { id = "" } = useParams();
  const me = useOutletContext<Schemas["Me"]>();
  const query = useCase(id);
  const [said, setSaid] = useState<string | null>(null);
  const row = query.data?.case;
  return (
    <>
      <PageHead
        crumb={{ to: "/cases", text: t("cases.title") }}
        name={t("cases.title")}
        title={
          row ? (
            <>
              <Plain list="remedy" word={row.remedy} />
              {": "}
              {row.product ? <Said value={row.product} /> : t("cases.unknownDevice")}
            </>
          ) : (
            t("cases.title")
          )
        }
        lead={
          row && (
            <>
              <code>{row.endpoint}</code> · {row.provider?.name ?? t("common.noAddressee")}
            </>
          )
        }
      >
        {query.data && <CaseActions detail={query.data} me={me} done={setSaid} />}
      </PageHead>
      {said && (
        <div className="notice" role="status" style={{ marginBottom: "1rem" }}>
          <Icon name="info" />
          <span>{said}</span>
        </div>
      )}
      <Loaded query={query} lines={12}>
        {(detail) => <Body detail={detail} />}
      </Loaded>
    </>
  );
}

function Body({ detail }: { detail: Detail }) {
  const { t } = useTranslation();
  const row = detail.case;
  return (
    <>
      <div className="sheet axes">
        <div>
          <div className="label">{t("cases.stage")}</div>
          <div className="what">
            <Stage word={row.stage} />
          </div>
          {row.close_reason && (
            <span className="under">
              <Plain list="reason" word={row.close_reason} />
            </span>
          )}
        </div>
        <div>
          <div className="label">{t("cases.condition")}</div>
          <div className="what">
            <Condition word={row.condition} />
          </div>
          <span className="under">
            {t(`conditionMeaning.${row.condition}`)}
            {detail.still_affected === true && ` ${t("cases.stillAffected")}.`}
            {detail.still_affected === false && ` ${t("cases.notAffected")}.`}
          </span>
        </div>
        <div>
          <div className="label">{t("cases.episode")}</div>
          <div className="what">{row.episode}</div>
          {row.episode > 1 && <span className="under">{t("cases.relapsed")}</span>}
        </div>
        <div>
          <div className="label">{t("cases.severity")}</div>
          <div className="what">
            <Severity word={row.severity} />
          </div>
        </div>
      </div>

      <div className="wide" style={{ marginTop: "1.75rem" }}>
        <div>
          <section>
            <h2 style={{ marginBottom: "0.5rem" }}>{t("cases.trail")}</h2>
            <Trail events={detail.trail} />
          </section>
          <Section title={t("cases.findings")}>
            <div className="sheet">
              <Table
                caption={t("cases.findings")}
                rows={detail.findings}
                id={(finding) => finding.key}
                columns={[
                  {
                    name: t("findings.kind"),
                    head: true,
                    cell: (finding) => (
                      <Link to={`/findings/${encodeURIComponent(finding.key)}`}>
                        <Plain list="kind" word={finding.kind} />
                      </Link>
                    ),
                  },
                  { name: t("findings.severity"), cell: (finding) => <Severity word={finding.severity} /> },
                  { name: t("findings.endpoint"), cell: (finding) => <code>{finding.endpoint}</code> },
                  { name: t("findings.state"), cell: (finding) => <FindingState word={finding.state} /> },
                  { name: t("findings.lastSeen"), cell: (finding) => <Time at={finding.last_at} /> },
                ]}
              />
            </div>
          </Section>
          <Section title={t("cases.notices")}>
            <div className="sheet">
              {detail.notices.length === 0 ? (
                <p className="pad quiet">{t("cases.noticesNone")}</p>
              ) : (
                <Table
                  caption={t("cases.notices")}
                  rows={detail.notices}
                  id={(notice) => notice.notice_id}
                  columns={[
                    {
                      name: t("notices.subject"),
                      head: true,
                      cell: (notice) => (
                        <Link to={`/notices/${notice.notice_id}`}>
                          <Said value={notice.subject} />
                        </Link>
                      ),
                    },
                    { name: t("notices.recipient"), cell: (notice) => <code>{notice.recipient}</code> },
                    { name: t("notices.state"), cell: (notice) => <NoticeState word={notice.state} /> },
                    { name: t("notices.sent"), cell: (notice) => <Time at={notice.sent_at} /> },
                  ]}
                />
              )}
            </div>
          </Section>
        </div>
        <aside className="sheet pad" aria-label={t("cases.subject")}>
          <h2>{t("cases.subject")}</h2>
          <p className="small faint" style={{ marginBottom: "0.625rem" }}>
            {t("cases.subjectNote")}
          </p>
          <Facts
            stack
            rows={[
              [t("cases.endpoint"), <code key="e">{detail.subject.endpoint}</code>],
              [t("findings.observed"), <Time key="t" at={detail.subject.at} seconds />],
              [
                t("cases.device"),
                detail.subject.product ? (
                  <Said value={detail.subject.product} />
                ) : (
                  <span className="faint">{t("common.unknown")}</span>
                ),
              ],
              [
                t("cases.keys"),
                detail.subject.keys.length === 0 ? (
                  <span className="faint">{t("cases.keysNone")}</span>
                ) : (
                  detail.subject.keys.map((key) => (
                    <span key={key.kind + key.value} style={{ display: "block" }}>
                      <Plain list="keyKind" word={key.kind} />{" "}
                      <code className="faint" title={key.value}>
                        {key.value.length > 20 ? `${key.value.slice(0, 16)}…` : key.value}
                      </code>
                    </span>
                  ))
                ),
              ],
              [
                t("findings.asset"),
                <Link key="a" to={`/findings?asset=${detail.subject.asset_id}`}>
                  <code>{detail.subject.asset_id}</code>
                </Link>,
              ],
              [t("cases.opened"), <Time key="o" at={row.opened_at} />],
              [t("cases.notified"), row.notified_at && <Time at={row.notified_at} />],
              [t("cases.judged"), row.judged_at && <Time at={row.judged_at} />],
              [t("cases.closed"), row.closed_at && <Time at={row.closed_at} />],
              [
                t("cases.arm"),
                detail.arm && detail.arm.experiment
                  ? t("cases.armText", { experiment: detail.arm.experiment, name: detail.arm.name })
                  : null,
              ],
              [t("cases.id"), <code key="i">{row.case_id}</code>],
            ]}
          />
        </aside>
      </div>
    </>
  );
}

/** Events that turn the case are marked; the others accompany them. */
const TURNS = new Set(["opened", "notified", "acknowledged", "disputed", "judged", "closed", "reopened"]);

function Trail({ events }: { events: Event[] }) {
  return (
    <ol className="trail">
      {events.map((event) => (
        <li key={event.seq} data-turn={TURNS.has(event.change)}>
          <span className="when">
            <Time at={event.at} />
          </span>
          <div className="what">
            <Turn event={event} />
          </div>
        </li>
      ))}
    </ol>
  );
}

function Turn({ event }: { event: Event }) {
  const { t } = useTranslation();
  const { words } = event;
  const about: React.ReactNode[] = [];
  if (words["condition"]) about.push(<Condition key="c" word={words["condition"]} />);
  if (words["basis"]) about.push(<Plain key="b" list="basis" word={words["basis"]} />);
  if (words["seen_at"]) about.push(t("trail.seenAt", { endpoint: words["seen_at"] }));
  if (words["reason"]) about.push(<Plain key="r" list="reason" word={words["reason"]} />);
  if (words["cause"]) about.push(<Plain key="u" list="cause" word={words["cause"]} />);
  if (event.change === "addressed") about.push(words["provider"] ?? t("trail.noAddressee"));
  if (words["wording"]) about.push(words["wording"]);
  if (words["delay_s"])
    about.push(
      words["delay_s"] === "0"
        ? t("trail.noDelay")
        : t("trail.delay", { days: Math.round(Number(words["delay_s"]) / 86_400) }),
    );
  if (words["severity"]) about.push(<Severity key="s" word={words["severity"]} />);
  const links: React.ReactNode[] = [];
  if (event.notice_id)
    links.push(
      <Link key="n" to={`/notices/${event.notice_id}`}>
        {t("trail.notice")}
      </Link>,
    );
  if (event.finding)
    links.push(
      <Link key="f" to={`/findings/${encodeURIComponent(event.finding)}`}>
        {t("trail.finding")}
      </Link>,
    );
  if (event.survey_id)
    links.push(
      <SurveyLink key="s" id={event.survey_id}>
        {t("trail.survey")}
      </SurveyLink>,
    );
  const separated = (nodes: React.ReactNode[]) =>
    nodes.map((node, i) => (
      <span key={i}>
        {i > 0 && <span className="faint"> · </span>}
        {node}
      </span>
    ));
  return (
    <>
      <div>
        <b>{t(`change.${event.change}`)}</b>
        {about.length > 0 && <span className="about">{separated(about)}</span>}
      </div>
      {event.note && (
        <div className="note">
          <Said value={event.note} />
        </div>
      )}
      {event.reasons.length > 0 && (
        <ul>
          {event.reasons.map((reason, i) => (
            <li key={i}>
              <Said value={reason} />
            </li>
          ))}
        </ul>
      )}
      <div className="small faint">
        {event.person ? <Said value={event.actor} /> : t("trail.rule", { name: event.actor })}
        {links.length > 0 && " · "}
        {separated(links)}
      </div>
    </>
  );
}
