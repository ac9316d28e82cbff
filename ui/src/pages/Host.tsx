import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link, useOutletContext, useParams } from "react-router";

import type { Schemas } from "../api/client";
import { useHost } from "../api/queries";
import { compareHosts } from "../explore/compare";
import { DayChoice, KnownBy } from "../explore/Known";
import { Probes } from "../explore/Probes";
import { DeviceOf, keyOf, PortOf, SaysOf, ServiceTable, StateOf, type Service } from "../explore/ServiceTable";
import { useValueName } from "../explore/values";
import { useFilter } from "../parts/Filters";
import { Facts, PageHead, Section } from "../parts/Page";
import { Table } from "../parts/Rows";
import { Empty, Loaded } from "../parts/states";
import { number, written } from "../parts/text";
import { SurveyLink } from "../parts/SurveyLink";
import { Bytes, Said, Time } from "../parts/values";
import { FindingState, Plain, Severity } from "../parts/words";

/** One host: what it offers now, what it offered then, what it was taken for, and what came of it. */
export function HostPage() {
  const { t } = useTranslation();
  const { addr = "" } = useParams();
  const [at, setAt] = useFilter("at");
  const me = useOutletContext<Schemas["Me"]>();
  const query = useHost(addr, at);
  return (
    <>
      <PageHead
        crumb={{ to: "/search", text: t("search.title") }}
        name={written(addr)}
        title={
          <code>
            <Said value={addr} />
          </code>
        }
        lead={query.data && <Lead host={query.data} />}
      >
        <DayChoice label={t("known.choose")} value={at} onChange={setAt} />
      </PageHead>
      {at && <KnownBy at={at} text={t("known.host")} onToday={() => setAt("")} />}
      <Loaded query={query} lines={10}>
        {(host) => (
          <div className="wide">
            <div>
              <Section title={t("hosts.now")} aside={at ? t("hosts.knownBy", { day: written(at) }) : null}>
                <div className="sheet">
                  {host.now.length === 0 ? (
                    <Empty title={t("hosts.noneTitle")} text={t("hosts.none")} />
                  ) : (
                    <ServiceTable caption={t("hosts.now")} services={host.now} host />
                  )}
                  {host.now_more ? (
                    <p className="pad quiet small">{t("hosts.further", { n: number(host.now_more) })}</p>
                  ) : null}
                </div>
                <Raw services={host.now} />
              </Section>
              <Section title={t("hosts.before")} aside={t("hosts.beforeAside")}>
                <div className="sheet">
                  {host.before.length === 0 ? <p className="pad quiet">{t("hosts.beforeNone")}</p> : <Before services={host.before} />}
                  {host.before_more ? (
                    <p className="pad quiet small">{t("hosts.earlier", { n: number(host.before_more) })}</p>
                  ) : null}
                </div>
              </Section>
              <Differences addr={addr} at={at} host={host} />
              {me.actions.includes("see-findings") && (
                <Section title={t("nav.findings")}>
                  <div className="sheet">
                    {host.findings.length === 0 ? (
                      <p className="pad quiet">{t("hosts.findingsNone")}</p>
                    ) : (
                      <Table
                        caption={t("nav.findings")}
                        rows={host.findings}
                        id={(row) => row.key}
                        columns={[
                          {
                            name: t("findings.kind"),
                            head: true,
                            cell: (row) => (
                              <Link to={`/findings/${encodeURIComponent(row.key)}`}>
                                <Plain list="kind" word={row.kind} />
                              </Link>
                            ),
                          },
                          { name: t("findings.endpoint"), cell: (row) => <code className="nowrap"><Said value={row.endpoint} /></code> },
                          { name: t("findings.severity"), cell: (row) => <Severity word={row.severity} /> },
                          { name: t("findings.state"), cell: (row) => <FindingState word={row.state} /> },
                          { name: t("findings.lastSeen"), cell: (row) => <Time at={row.last_at} day /> },
                        ]}
                      />
                    )}
                  </div>
                </Section>
              )}
              {me.actions.includes("see-cases") && (
                <Section title={t("nav.cases")}>
                  <div className="sheet">
                    {host.cases.length === 0 ? (
                      <p className="pad quiet">{t("hosts.casesNone")}</p>
                    ) : (
                      <Table
                        caption={t("nav.cases")}
                        rows={host.cases}
                        id={(row) => row.case_id}
                        columns={[
                          {
                            name: t("cases.remedy"),
                            head: true,
                            cell: (row) => (
                              <Link to={`/cases/${encodeURIComponent(row.case_id)}`}>
                                <Plain list="remedy" word={row.remedy} />
                              </Link>
                            ),
                          },
                          { name: t("cases.stage"), cell: (row) => <Plain list="stage" word={row.stage} /> },
                          { name: t("cases.condition"), cell: (row) => <Plain list="condition" word={row.condition} /> },
                          { name: t("cases.opened"), cell: (row) => <Time at={row.opened_at} day /> },
                        ]}
                      />
                    )}
                  </div>
                </Section>
              )}
              {me.actions.includes("see-probes") && <Probes addr={addr} at={at} />}
            </div>
            <aside className="sheet pad" aria-label={t("findings.identity")}>
              <h2 style={{ marginBottom: "0.5rem" }}>{t("findings.identity")}</h2>
              {host.identity.length === 0 && <p className="quiet small">{t("findings.identityNone")}</p>}
              <Facts
                stack
                rows={host.identity.map((claim) => [
                  t(`attribute.${claim.attribute}`),
                  <span key={`${claim.attribute} ${claim.value} ${claim.reason}`}>
                    <Said value={claim.value} /> <span className="faint">{claim.confidence}{"\u202f"}%</span>
                    <code className="under">
                      <Said value={claim.reason} />
                    </code>
                  </span>,
                ])}
              />
            </aside>
          </div>
        )}
      </Loaded>
      {/* Where nothing was ever seen, it may have been asked all the same. */}
      {query.error && me.actions.includes("see-probes") && <Probes addr={addr} at={at} />}
    </>
  );
}

function Lead({ host }: { host: Schemas["HostDetail"] }) {
  const { t } = useTranslation();
  const country = useValueName("country");
  const region = useValueName("region");
  const known = host.now[0] ?? host.before.at(-1);
  if (!known) return null;
  const device = [known.vendor, known.product, known.version].filter(Boolean).join(" ");
  const where = [
    known.provider ?? t("common.noAddressee"),
    known.asn ? `AS${known.asn}${known.as_name ? ` ${known.as_name}` : ""}` : null,
    known.region ? region(known.region) : null,
    known.country ? country(known.country) : null,
  ];
  return (
    <>
      {device && (
        <>
          <Said value={device} />
          {" · "}
        </>
      )}
      <Said value={where.filter(Boolean).join(" · ")} />
    </>
  );
}

/** All that each service said, as received. */
function Raw({ services }: { services: Service[] }) {
  const { t } = useTranslation();
  const saying = services.filter((service) => service.banner || service.cert_sha256 || service.key_sha256);
  if (saying.length === 0) return null;
  return (
    <details className="section">
      <summary className="small">{t("hosts.raw")}</summary>
      {saying.map((service) => (
        <div key={keyOf(service)} className="sheet pad" style={{ marginTop: "0.5rem" }}>
          <Facts
            rows={[
              [t("field.port"), <Said key="p" value={`${service.port}/${service.transport} ${service.protocol ?? ""}`} />],
              [t("field.banner"), service.banner && <Bytes key="b" value={service.banner} />],
              [t("field.title"), service.title && <Said key="t" value={service.title} />],
              [t("field.server"), service.server && <Said key="s" value={service.server} />],
              [t("field.tls"), service.tls && <Said key="l" value={service.tls} />],
              [t("field.cert"), service.cert_subject && <Said key="c" value={service.cert_subject} />],
              [t("field.issuer"), service.cert_issuer && <Said key="i" value={service.cert_issuer} />],
              [t("field.expires"), service.cert_expires_at && <Time key="e" at={service.cert_expires_at} day />],
              [t("field.cert-sha256"), service.cert_sha256 && <Same key="f" field="cert-sha256" value={service.cert_sha256} />],
              [t("field.key"), service.key_sha256 && <Same key="k" field="key" value={service.key_sha256} />],
              [t("field.hassh"), service.hassh && <Same key="h" field="hassh" value={service.hassh} />],
              [t("field.survey"), <SurveyLink key="v" id={service.survey_id}><Said value={service.survey_id.slice(-6)} /></SurveyLink>],
            ]}
          />
        </div>
      ))}
    </details>
  );
}

/** A value that others may have too. */
function Same({ field, value }: { field: string; value: string }) {
  return (
    <Link to={`/search?q=${encodeURIComponent(`${field}:${value}`)}`}>
      <code>
        <Said value={value} />
      </code>
    </Link>
  );
}

function Before({ services }: { services: Service[] }) {
  const { t } = useTranslation();
  return (
    <Table
      caption={t("hosts.before")}
      rows={[...services].reverse()}
      id={(service) => `${keyOf(service)} ${service.asked_at}`}
      columns={[
        { name: t("hosts.until"), head: true, cell: (service) => <Time at={service.asked_at} /> },
        { name: t("field.port"), cell: (service) => <PortOf service={service} /> },
        { name: t("field.state"), cell: (service) => <StateOf state={service.state} /> },
        { name: t("search.device"), cell: (service) => <DeviceOf service={service} /> },
        { name: t("search.says"), cell: (service) => <SaysOf service={service} /> },
      ]}
    />
  );
}

/** What is otherwise on another day. */
function Differences({ addr, at, host }: { addr: string; at: string; host: Schemas["HostDetail"] }) {
  const { t } = useTranslation();
  const [other, setOther] = useFilter("with");
  const query = useHost(addr, other);
  return (
    <Section title={t("hosts.compare")} aside={<DayChoice label={t("hosts.with")} value={other} onChange={setOther} />}>
      {!other ? (
        <p className="quiet small">{t("hosts.compareHint")}</p>
      ) : (
        <div className="sheet">
          <Loaded query={query} lines={4}>
            {(then) => <Changes before={then.now} after={host.now} from={other} to={at} />}
          </Loaded>
        </div>
      )}
    </Section>
  );
}

function Changes({ before, after, from, to }: { before: Service[]; after: Service[]; from: string; to: string }) {
  const { t } = useTranslation();
  const changes = useMemo(() => compareHosts(before, after), [before, after]);
  if (changes.length === 0) return <p className="pad quiet">{t("hosts.same")}</p>;
  return (
    <Table
      caption={t("hosts.compare")}
      rows={changes}
      id={(change) => `${change.key} ${change.field}`}
      columns={[
        { name: t("field.port"), head: true, cell: (change) => <span className="nowrap"><Said value={change.place} /></span> },
        { name: t("hosts.what"), cell: (change) => t(`field.${change.field}`) },
        { name: from, cell: (change) => <Value value={change.before} /> },
        { name: to || t("hosts.today"), cell: (change) => <Value value={change.after} /> },
      ]}
    />
  );
}

function Value({ value }: { value: string | null }) {
  return value === null ? <span className="faint">–</span> : <Said value={value.slice(0, 300)} />;
}
