import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { useFindings } from "../api/queries";
import { ClearFilters, Search, useFilters, WordChoice } from "../parts/Filters";
import { PageHead } from "../parts/Page";
import { ProviderChoice } from "../parts/ProviderChoice";
import { List } from "../parts/Rows";
import { Said, Time } from "../parts/values";
import { FindingState, Plain, Severity } from "../parts/words";

export const KINDS = [
  "default-credentials",
  "admin-open",
  "known-exploited",
  "telnet-open",
  "end-of-life",
  "anonymous-ftp",
  "anonymous-mqtt",
  "broken-tls",
  "database-open",
  "adb-open",
  "screen-open",
  "snmp-public",
  "open-resolver",
  "amplifier",
  "controller-exposed",
  "smb1",
  "cwmp-exposed",
  "rdp-without-nla",
  "weak-ssh",
  "shared-key",
  "unmaintained-component",
  "altered-content",
] as const;
export const REMEDIES = ["change-password", "update", "replace", "close-service", "clean"] as const;
export const SEVERITIES = ["critical", "high", "medium", "low"] as const;

export function FindingsPage() {
  const { t } = useTranslation();
  const filters = useFilters([
    "after",
    "kind",
    "severity",
    "remedy",
    "state",
    "provider",
    "no_addressee",
    "net",
    "survey",
    "asset",
    "sort",
  ]);
  const query = useFindings(filters);
  return (
    <>
      <PageHead title={t("findings.title")} />
      <div className="filters" role="search">
        <WordChoice name="kind" label={t("findings.kind")} list="kind" words={KINDS} />
        <WordChoice name="severity" label={t("findings.severity")} list="severity" words={SEVERITIES} />
        <WordChoice name="remedy" label={t("findings.remedy")} list="remedy" words={REMEDIES} />
        <WordChoice
          name="state"
          label={t("findings.state")}
          list="findingState"
          words={["present", "absent", "withdrawn"]}
        />
        <ProviderChoice />
        <WordChoice name="sort" label={t("common.order")} list="order" words={["priority"]} unset={t("order.none")} />
        <Search name="net" />
        <ClearFilters />
      </div>
      <List
        caption={t("findings.title")}
        query={query}
        id={(row) => row.key}
        empty={{ title: t("findings.emptyTitle"), text: t("findings.empty"), filtered: t("findings.emptyFiltered") }}
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
          {
            name: t("common.priority"),
            cell: (row) => (row.priority ? <Plain list="decision" word={row.priority} /> : null),
          },
          { name: t("findings.severity"), cell: (row) => <Severity word={row.severity} /> },
          {
            name: t("findings.product"),
            cell: (row) => (
              <div className="roomy">
                {row.product ? <Said value={row.product} /> : <span className="faint">{t("common.unknown")}</span>}
                <code className="under nowrap">{row.endpoint}</code>
              </div>
            ),
          },
          {
            name: t("findings.provider"),
            cell: (row) => (
              <div className="roomy">
                {row.provider?.name ?? <span className="faint">{t("common.noAddressee")}</span>}
              </div>
            ),
          },
          {
            name: t("findings.remedy"),
            cell: (row) => (
              <span className="nowrap">
                <Plain list="remedy" word={row.remedy} />
              </span>
            ),
          },
          { name: t("findings.confidence"), num: true, cell: (row) => `${row.confidence}\u202f%` },
          { name: t("findings.state"), cell: (row) => <FindingState word={row.state} /> },
          {
            name: t("findings.rounds"),
            num: true,
            cell: (row) =>
              row.first_round === row.last_round ? row.first_round : `${row.first_round}–${row.last_round}`,
          },
          { name: t("findings.lastSeen"), cell: (row) => <Time at={row.last_at} day /> },
        ]}
      />
    </>
  );
}
