// When a host was asked, by whom, and what came of it: from coverage, whether it answered or not.

import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import type { Schemas } from "../api/client";
import { useProbes } from "../api/queries";
import { keep } from "../parts/Figure";
import { Section } from "../parts/Page";
import { Table } from "../parts/Rows";
import { Loaded } from "../parts/states";
import { SurveyLink } from "../parts/SurveyLink";
import { csv, written } from "../parts/text";
import { Said, Time } from "../parts/values";

type Probe = Schemas["ProbeRow"];

const CSV = ["from", "to", "port", "transport", "outcome", "sensor_id", "sensor", "survey_id", "programme", "round", "mandate_id"] as const;

export function Probes({ addr, at }: { addr: string; at: string }) {
  const { t } = useTranslation();
  const query = useProbes(addr, true);
  const rows = query.data?.items ?? [];
  const file = () =>
    keep(`kenshin-probes-${addr.replaceAll(/[^\w.]/g, "-")}.csv`, csv([[...CSV], ...rows.map((row) => CSV.map((name) => row[name] ?? ""))]));
  return (
    <Section
      title={t("probes.title")}
      aside={
        <>
          {t(at ? "probes.asideThen" : "probes.aside")}{" "}
          {rows.length > 0 && (
            <button type="button" className="link" aria-label={`CSV: ${t("probes.title")}`} onClick={file}>
              CSV
            </button>
          )}
        </>
      }
    >
      <div className="sheet">
        <Loaded query={query} lines={4}>
          {(list) =>
            list.items.length === 0 ? (
              <p className="pad quiet">{t("probes.none")}</p>
            ) : (
              <>
                <Table
                  caption={t("probes.title")}
                  rows={list.items}
                  id={(row) => `${row.survey_id} ${row.sensor_id} ${row.port} ${row.transport} ${row.from}`}
                  columns={[
                    { name: t("probes.when"), head: true, cell: (row) => <When row={row} /> },
                    {
                      name: t("field.port"),
                      cell: (row) => (
                        <span className="nowrap">
                          {row.port}/<Said value={row.transport} />
                        </span>
                      ),
                    },
                    { name: t("probes.outcome"), cell: (row) => <OutcomeOf row={row} /> },
                    {
                      name: t("field.survey"),
                      cell: (row) => (
                        <>
                          <SurveyLink id={row.survey_id}>
                            <Said value={t("probes.round", { round: row.round, programme: row.programme })} />
                          </SurveyLink>
                          <span className="under">
                            <Link to={`/mandates/${encodeURIComponent(row.mandate_id)}`}>
                              <Said value={row.mandate_id} />
                            </Link>
                          </span>
                        </>
                      ),
                    },
                    {
                      name: t("field.sensor"),
                      cell: (row) => (
                        <span title={written(row.sensor_id)}>
                          <Said value={row.sensor ?? `…${row.sensor_id.slice(-6)}`} />
                        </span>
                      ),
                    },
                  ]}
                />
                {list.more && <p className="pad quiet small">{t("probes.more")}</p>}
              </>
            )
          }
        </Loaded>
      </div>
    </Section>
  );
}

/** Between which instants: coverage is told slice by slice. */
function When({ row }: { row: Probe }) {
  return (
    <>
      <Time at={row.from} seconds />
      {row.to !== row.from && (
        <span className="under">
          – <Time at={row.to} seconds />
        </span>
      )}
    </>
  );
}

function OutcomeOf({ row }: { row: Probe }) {
  const { t } = useTranslation();
  return row.outcome ? <span className="tag">{t(`outcome.${row.outcome}`)}</span> : <span className="quiet">{t("probes.silent")}</span>;
}
