import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";

import { useFinding } from "../api/queries";
import { Facts, PageHead, Section } from "../parts/Page";
import { Table } from "../parts/Rows";
import { Loaded } from "../parts/states";
import { SurveyLink } from "../parts/SurveyLink";
import { Bytes, Said, Time } from "../parts/values";
import { FindingState, Plain, Severity } from "../parts/words";

export function FindingPage() {
  const { t } = useTranslation();
  const { key = "" } = useParams();
  const query = useFinding(key);
  const crumb = { to: "/findings", text: t("findings.title") };
  return (
    <>
      <PageHead
        crumb={crumb}
        title={query.data ? t(`kind.${query.data.finding.kind}`) : t("findings.title")}
        lead={
          query.data && (
            <>
              <code>{query.data.finding.endpoint}</code>
              {query.data.finding.product && (
                <>
                  {" · "}
                  <Said value={query.data.finding.product} />
                </>
              )}
            </>
          )
        }
      />
      <Loaded query={query} lines={10}>
        {(detail) => {
          const { finding } = detail;
          return (
            <div className="wide">
              <div>
                <section>
                  <h2 className="hidden">{t("findings.explanation")}</h2>
                  <p className="prose">{detail.explanation}</p>
                  {detail.why && (
                    <>
                      <h3 style={{ marginTop: "0.875rem" }}>{t("findings.why")}</h3>
                      <p className="prose">{detail.why}</p>
                    </>
                  )}
                  {detail.advice && (
                    <>
                      <h3 style={{ marginTop: "0.875rem" }}>{t("findings.advice")}</h3>
                      <p className="prose">{detail.advice}</p>
                    </>
                  )}
                </section>
                {detail.priority.length > 0 && finding.priority && (
                  <Section
                    title={t("common.priority")}
                    aside={<Plain list="decision" word={finding.priority} />}
                  >
                    <div className="sheet">
                      <Table
                        caption={t("common.priority")}
                        rows={detail.priority}
                        id={(row) => row.question}
                        columns={[
                          {
                            name: t("findings.question"),
                            head: true,
                            cell: (row) => <Plain list="question" word={row.question} />,
                          },
                          { name: t("findings.answer"), cell: (row) => <Plain list="answer" word={row.answer} /> },
                          { name: t("findings.because"), cell: (row) => <Said value={row.reasons.join(" ")} /> },
                        ]}
                      />
                    </div>
                  </Section>
                )}
                <Section title={t("findings.evidence")} aside={t("common.bytesHint")}>
                  {detail.evidence.map((evidence, i) => (
                    <div key={i} style={{ marginBottom: "0.875rem" }}>
                      <div className="small quiet" style={{ marginBottom: "0.25rem" }}>
                        <code>{evidence.field}</code>
                        {" · "}
                        <code>{evidence.endpoint}</code>
                        {" · "}
                        <Time at={evidence.at} seconds />
                        {" · "}
                        <SurveyLink id={evidence.survey_id}>{t("findings.survey")}</SurveyLink>
                      </div>
                      <Bytes value={evidence.value} />
                      {evidence.blobs.length > 0 && (
                        <div className="small faint" style={{ marginTop: "0.25rem" }}>
                          {t("findings.bodies")}:{" "}
                          {evidence.blobs.map((blob) => (
                            <code key={blob} title={blob}>
                              {blob.slice(0, 16)}…{" "}
                            </code>
                          ))}
                        </div>
                      )}
                    </div>
                  ))}
                </Section>
                <Section title={t("findings.identity")}>
                  <div className="sheet">
                    {detail.identity.length === 0 ? (
                      <p className="pad quiet">{t("findings.identityNone")}</p>
                    ) : (
                      <Table
                        caption={t("findings.identity")}
                        rows={detail.identity}
                        id={(row) => `${row.attribute} ${row.value} ${row.reason}`}
                        columns={[
                          {
                            name: t("findings.attribute"),
                            head: true,
                            cell: (row) => <Plain list="attribute" word={row.attribute} />,
                          },
                          { name: t("findings.value"), cell: (row) => <Said value={row.value} /> },
                          { name: t("findings.confidence"), num: true, cell: (row) => `${row.confidence}\u202f%` },
                          {
                            name: t("findings.reason"),
                            cell: (row) => (
                              <code className="quiet">
                                <Said value={row.reason} />
                              </code>
                            ),
                          },
                        ]}
                      />
                    )}
                  </div>
                </Section>
              </div>
              <aside className="sheet pad" aria-label={t("common.details")}>
                <Facts
                  stack
                  rows={[
                    [
                      t("findings.case"),
                      finding.case_id ? (
                        <Link to={`/cases/${finding.case_id}`}>{t("findings.openCase")} →</Link>
                      ) : (
                        <span className="faint">{t("findings.noCase")}</span>
                      ),
                    ],
                    [
                      t("common.priority"),
                      finding.priority ? (
                        <Plain key="p" list="decision" word={finding.priority} />
                      ) : (
                        <span className="faint">–</span>
                      ),
                    ],
                    [t("findings.severity"), <Severity key="s" word={finding.severity} />],
                    [t("findings.confidence"), `${finding.confidence}\u202f%`],
                    [t("findings.state"), <FindingState key="f" word={finding.state} />],
                    [t("findings.remedy"), <Plain key="r" list="remedy" word={finding.remedy} />],
                    [
                      t("findings.provider"),
                      finding.provider?.name ?? <span className="faint">{t("common.noAddressee")}</span>,
                    ],
                    [
                      t("findings.firstSeen"),
                      <span key="a">
                        <Time at={finding.first_at} />{" "}
                        <span className="faint">{t("common.round", { round: finding.first_round })}</span>
                      </span>,
                    ],
                    [
                      t("findings.lastSeen"),
                      <span key="b">
                        <Time at={finding.last_at} />{" "}
                        <span className="faint">{t("common.round", { round: finding.last_round })}</span>
                      </span>,
                    ],
                    [
                      t("findings.snapshots"),
                      detail.snapshots.length === 0 ? (
                        <span className="faint">{t("findings.snapshotsNone")}</span>
                      ) : (
                        detail.snapshots.map((snapshot) => (
                          <code key={snapshot} className="said" style={{ display: "block" }} title={snapshot}>
                            {snapshot.replace(/(sha256:[0-9a-f]{12})[0-9a-f]+/, "$1…")}
                          </code>
                        ))
                      ),
                    ],
                    [
                      t("findings.asset"),
                      <Link key="d" to={`/findings?asset=${detail.asset_id}`}>
                        <code>{detail.asset_id}</code>
                      </Link>,
                    ],
                    [
                      t("findings.key"),
                      <code key="k" className="said">
                        {finding.key}
                      </code>,
                    ],
                  ]}
                />
              </aside>
            </div>
          );
        }}
      </Loaded>
    </>
  );
}
