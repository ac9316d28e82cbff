import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";

import type { Schemas } from "../api/client";
import { useSurvey } from "../api/queries";
import { Facts, PageHead, Section } from "../parts/Page";
import { Table } from "../parts/Rows";
import { Loaded } from "../parts/states";
import { duration, number, percent } from "../parts/text";
import { Miss, Num, Said, Share, Time } from "../parts/values";
import { Condition, Plain } from "../parts/words";
import { CONDITIONS } from "./Cases";
import { Meter, SurveyState } from "./Surveys";

type Detail = Schemas["SurveyDetail"];
type Progress = Schemas["Progress"];

/** Follows a survey while it runs; the page is read again when it has ended. */
function useProgress(id: string, first: Progress): { progress: Progress; lost: boolean } {
  const queries = useQueryClient();
  const [live, setLive] = useState<Progress | null>(null);
  const [lost, setLost] = useState(false);
  const finished = first.finished;
  useEffect(() => {
    if (finished) return;
    const events = new EventSource(`/api/v1/surveys/${encodeURIComponent(id)}/events`);
    events.addEventListener("progress", (event) => {
      const progress = JSON.parse((event as MessageEvent<string>).data) as Progress;
      setLost(false);
      setLive(progress);
      if (progress.finished) {
        events.close();
        for (const key of ["survey", "surveys", "overview"]) void queries.invalidateQueries({ queryKey: [key] });
      }
    });
    events.onerror = () => setLost(true);
    return () => events.close();
  }, [id, finished, queries]);
  return { progress: finished ? first : (live ?? first), lost: lost && !finished };
}

export function SurveyPage() {
  const { t } = useTranslation();
  const { id = "" } = useParams();
  const query = useSurvey(id);
  const survey = query.data?.survey;
  return (
    <>
      <PageHead
        crumb={{ to: "/surveys", text: t("surveys.title") }}
        title={survey ? t("common.round", { round: survey.round }) : t("surveys.survey")}
        lead={
          survey && (
            <>
              {survey.programme} · <Plain list="surveyKind" word={survey.kind} />
            </>
          )
        }
      />
      <Loaded query={query} lines={8}>
        {(detail) => <Body key={detail.survey.survey_id} detail={detail} />}
      </Loaded>
    </>
  );
}

function Body({ detail }: { detail: Detail }) {
  const { t } = useTranslation();
  const { survey, figures } = detail;
  const { progress, lost } = useProgress(survey.survey_id, survey.progress);
  const protocols = Object.entries(progress.protocols).sort((a, b) => b[1] - a[1]);
  const judged = figures ? CONDITIONS.filter((word) => (figures.judged[word] ?? 0) > 0) : [];
  return (
    <>
      <section className="sheet pad" aria-label={t("surveys.progress")} aria-live="off">
        <div className="progresshead">
          <span className="big">{percent(progress.done, progress.total) ?? "–"}</span>
          <SurveyState word={progress.state} />
          {!progress.finished && <span className="small quiet">{lost ? t("surveys.liveLost") : t("surveys.live")}</span>}
        </div>
        <Meter progress={progress} label={t("surveys.progress")} />
        <div className="counts">
          <div>
            <span className="label">{t("surveys.done")}</span>
            {number(progress.done)} <span className="faint">{t("common.of", { of: number(progress.total) })}</span>
          </div>
          <div>
            <span className="label">{t("surveys.sent")}</span>
            {number(progress.sent)}
          </div>
          <div>
            <span className="label">{t("surveys.answered")}</span>
            {number(progress.answered)}
            <span className="under small">
              <Miss miss={progress.miss} />
            </span>
          </div>
          {!progress.finished && (
            <>
              <div>
                <span className="label">{t("surveys.rate")}</span>
                {progress.rate_per_s != null ? t("surveys.perSecond", { rate: number(progress.rate_per_s) }) : "–"}
              </div>
              <div>
                <span className="label">{t("surveys.eta")}</span>
                {progress.eta_s != null ? duration(progress.eta_s) : "–"}
              </div>
            </>
          )}
        </div>
      </section>

      <div className="wide" style={{ marginTop: "1.75rem" }}>
        <div>
          {figures && (
            <section>
              <h2 style={{ marginBottom: "0.5rem" }}>{t("surveys.figures")}</h2>
              <div className="sheet pad">
                <Facts
                  rows={[
                    [
                      t("overview.surveyed"),
                      <span key="a">
                        {number(figures.addresses.count)}{" "}
                        <span className="faint">{t("common.of", { of: number(figures.addresses.of) })}</span>
                      </span>,
                    ],
                    [t("overview.excludedName"), number(figures.excluded)],
                    [t("overview.coverage"), <Share key="c" {...figures.targets} />],
                    [t("overview.responders"), number(figures.responders)],
                    [t("overview.services"), number(figures.services)],
                    [
                      t("overview.devices"),
                      <span key="d">
                        {number(figures.assets)}{" "}
                        <span className="faint">
                          {t("overview.devicesUnknown", { unknown: number(figures.assets_unknown) })}
                        </span>
                      </span>,
                    ],
                    [
                      t("overview.findings"),
                      <Link key="f" to={`/findings?survey=${survey.survey_id}`}>
                        {number(figures.findings)}
                      </Link>,
                    ],
                    [
                      t("overview.vanished"),
                      <span key="v" title={t("overview.vanishedHelp")}>
                        <Share {...figures.vanished} />
                      </span>,
                    ],
                  ]}
                />
              </div>
            </section>
          )}
          {figures && (
          <Section title={t("surveys.judged")}>
            <div className="sheet">
              {judged.length === 0 ? (
                <p className="pad quiet">{t("surveys.judgedNone")}</p>
              ) : (
                <Table
                  caption={t("surveys.judged")}
                  rows={judged}
                  id={(word) => word}
                  columns={[
                    { name: t("cases.condition"), head: true, cell: (word) => <Condition word={word} /> },
                    { name: "", cell: (word) => <span className="quiet">{t(`conditionMeaning.${word}`)}</span> },
                    { name: t("nav.cases"), num: true, cell: (word) => <Num value={figures.judged[word] ?? 0} /> },
                  ]}
                />
              )}
            </div>
          </Section>
          )}
          {protocols.length > 0 && (
            <Section title={t("surveys.protocols")}>
              <div className="sheet">
                <Table
                  caption={t("surveys.protocols")}
                  rows={protocols}
                  id={([name]) => name}
                  columns={[
                    { name: t("surveys.protocol"), head: true, cell: ([name]) => <code>{name}</code> },
                    { name: t("overview.services"), num: true, cell: ([, count]) => <Num value={count} /> },
                  ]}
                />
              </div>
            </Section>
          )}
        </div>
        <aside className="sheet pad" aria-label={t("common.details")}>
          <Facts
            stack
            rows={[
              [t("surveys.started"), survey.started_at && <Time at={survey.started_at} seconds />],
              [t("surveys.ended"), survey.ended_at && <Time at={survey.ended_at} seconds />],
              [t("surveys.reason"), survey.reason && <Said value={survey.reason} />],
              [
                t("surveys.mandate"),
                detail.mandate_id ? (
                  <Link to={`/mandates/${encodeURIComponent(detail.mandate_id)}`}>{detail.mandate_id}</Link>
                ) : (
                  <code title={survey.mandate_digest}>{survey.mandate_digest.slice(0, 16)}…</code>
                ),
              ],
              [t("nav.notices"), <Link key="n" to={`/notices?survey=${survey.survey_id}`}>{t("surveys.toNotices")}</Link>],
              [t("surveys.id"), <code key="i">{survey.survey_id}</code>],
            ]}
          />
        </aside>
      </div>
    </>
  );
}
