import { useTranslation } from "react-i18next";

import { useAudit } from "../api/queries";
import { useFilters } from "../parts/Filters";
import { PageHead } from "../parts/Page";
import { List } from "../parts/Rows";
import { Said, Time } from "../parts/values";

export function AuditPage() {
  const { t } = useTranslation();
  const query = useAudit(useFilters(["after"]));
  return (
    <>
      <PageHead title={t("audit.title")} />
      <List
        caption={t("audit.title")}
        query={query}
        id={(row) => String(row.seq)}
        empty={{ title: t("audit.emptyTitle"), text: t("audit.empty") }}
        columns={[
          { name: t("audit.seq"), num: true, cell: (row) => row.seq },
          { name: t("audit.at"), cell: (row) => <Time at={row.at} seconds /> },
          { name: t("audit.actor"), cell: (row) => <Said value={row.actor} /> },
          { name: t("audit.action"), head: true, cell: (row) => <code>{row.action}</code> },
          {
            name: t("audit.object"),
            cell: (row) => (
              <code className="long">
                <Said value={row.object} />
              </code>
            ),
          },
          {
            name: t("audit.detail"),
            cell: (row) => (
              <span className="small quiet long">
                <Said value={row.detail} />
              </span>
            ),
          },
          {
            name: t("audit.hash"),
            cell: (row) => (
              <code className="faint" title={row.hash}>
                {row.hash.slice(0, 10)}…
              </code>
            ),
          },
        ]}
      />
    </>
  );
}
