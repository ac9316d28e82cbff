import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import type { Schemas } from "../api/client";
import { useCases } from "../api/queries";
import { ClearFilters, Search, useFilter, useFilters, WordChoice } from "../parts/Filters";
import { PageHead } from "../parts/Page";
import { ProviderChoice } from "../parts/ProviderChoice";
import { List, type Column } from "../parts/Rows";
import { Num, Said, Time } from "../parts/values";
import { Condition, Plain, Severity, Stage, Tag } from "../parts/words";
import { REMEDIES, SEVERITIES } from "./Findings";

type Row = Schemas["CaseRow"];

export const STAGES = ["open", "notified", "acknowledged", "disputed", "closed"] as const;
export const CONDITIONS = ["affected", "clean", "service-gone", "unobservable", "elsewhere", "replaced"] as const;
export const REASONS = [
  "remedied",
  "exposure-ended",
  "false-positive",
  "withdrawn",
  "accepted-risk",
  "retired",
  "no-addressee",
] as const;

/** The columns of a list of cases; of one provider, its name is not said again. */
export function useCaseColumns(ofOneProvider = false): Column<Row>[] {
  const { t } = useTranslation();
  return [
    {
      name: t("cases.device"),
      head: true,
      cell: (row) => (
        <div className="roomy">
          <Link to={`/cases/${row.case_id}`}>
            {row.product ? <Said value={row.product} /> : t("cases.unknownDevice")}
          </Link>
          <code className="under nowrap">{row.endpoint}</code>
        </div>
      ),
    },
    {
      name: t("cases.remedy"),
      cell: (row) => (
        <span className="nowrap">
          <Plain list="remedy" word={row.remedy} />
        </span>
      ),
    },
    {
      name: t("common.priority"),
      cell: (row) => (row.priority ? <Plain list="decision" word={row.priority} /> : null),
    },
    { name: t("cases.severity"), cell: (row) => <Severity word={row.severity} /> },
    {
      name: t("cases.stage"),
      cell: (row) => (
        <>
          <Stage word={row.stage} />
          {row.close_reason && (
            <span className="under">
              <Plain list="reason" word={row.close_reason} />
            </span>
          )}
        </>
      ),
    },
    { name: t("cases.condition"), cell: (row) => <Condition word={row.condition} /> },
    {
      name: t("cases.episode"),
      num: true,
      cell: (row) => (row.episode > 1 ? <Tag strong>{row.episode}</Tag> : <span className="faint">1</span>),
    },
    ...(ofOneProvider
      ? []
      : [
          {
            name: t("cases.provider"),
            cell: (row: Row) => (
              <div className="roomy">
                {row.provider?.name ?? <span className="faint">{t("common.noAddressee")}</span>}
              </div>
            ),
          },
        ]),
    { name: t("cases.findings"), num: true, cell: (row) => <Num value={row.findings} /> },
    { name: t("cases.notified"), cell: (row) => <Time at={row.notified_at} day /> },
    { name: t("cases.judged"), cell: (row) => <Time at={row.judged_at} day /> },
  ];
}

export function CasesPage() {
  const { t } = useTranslation();
  const filters = useFilters([
    "after",
    "stage",
    "condition",
    "reason",
    "remedy",
    "severity",
    "provider",
    "open",
    "net",
    "sort",
  ]);
  const query = useCases(filters);
  const columns = useCaseColumns();
  const [open, setOpen] = useFilter("open");
  return (
    <>
      <PageHead title={t("cases.title")} />
      <div className="filters" role="search">
        <WordChoice name="stage" label={t("cases.stage")} list="stage" words={STAGES} />
        <WordChoice name="condition" label={t("cases.condition")} list="condition" words={CONDITIONS} />
        <WordChoice name="reason" label={t("cases.reason")} list="reason" words={REASONS} />
        <WordChoice name="remedy" label={t("cases.remedy")} list="remedy" words={REMEDIES} />
        <WordChoice name="severity" label={t("cases.severity")} list="severity" words={SEVERITIES} />
        <ProviderChoice />
        <WordChoice name="sort" label={t("common.order")} list="order" words={["priority"]} unset={t("order.newest")} />
        <Search name="net" />
        <label className="check">
          <input
            type="checkbox"
            checked={open === "true"}
            onChange={(event) => setOpen(event.currentTarget.checked ? "true" : "")}
          />
          {t("cases.notClosed")}
        </label>
        <ClearFilters />
      </div>
      <List
        caption={t("cases.title")}
        query={query}
        id={(row) => row.case_id}
        columns={columns}
        empty={{ title: t("cases.emptyTitle"), text: t("cases.empty"), filtered: t("cases.emptyFiltered") }}
      />
    </>
  );
}
