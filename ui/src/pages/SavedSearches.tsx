import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import type { Schemas } from "../api/client";
import { useSavedSearches } from "../api/queries";
import { useFilters } from "../parts/Filters";
import { PageHead } from "../parts/Page";
import { List } from "../parts/Rows";
import { Num, Said, Time } from "../parts/values";
import { Plain, Tag } from "../parts/words";

/** Whether a search alerts, and why not. */
export function Standing({ search }: { search: Schemas["SavedSearchRow"] }) {
  const { t } = useTranslation();
  if (!search.enabled) return <Tag>{t("searches.disabled")}</Tag>;
  if (!search.trouble && search.undelivered === 0) return <Tag>{t("searches.watching")}</Tag>;
  return (
    <Tag strong>
      <span aria-hidden="true">! </span>
      {search.trouble ? (
        <Plain list="trouble" word={search.trouble} />
      ) : (
        t("searches.undelivered", { count: search.undelivered })
      )}
    </Tag>
  );
}

export function SavedSearchesPage() {
  const { t } = useTranslation();
  const query = useSavedSearches(useFilters(["after"]));
  return (
    <>
      <PageHead
        title={t("searches.title")}
        lead={t("searches.lead")}
        crumb={{ to: "/search", text: t("search.title") }}
      />
      <List
        caption={t("searches.title")}
        query={query}
        id={(row) => row.search_id}
        empty={{ title: t("searches.emptyTitle"), text: t("searches.empty") }}
        columns={[
          {
            name: t("searches.name"),
            head: true,
            cell: (row) => (
              <>
                <Link to={`/searches/${row.search_id}`}>
                  <Said value={row.name} />
                </Link>
                <code className="under">
                  <Said value={row.query || t("searches.everything")} />
                </code>
              </>
            ),
          },
          { name: t("searches.state"), cell: (row) => <Standing search={row} /> },
          { name: t("searches.on"), cell: (row) => <Plain list="watch" word={row.on} /> },
          { name: t("searches.services"), num: true, cell: (row) => <Num value={row.services} /> },
          { name: t("searches.lookedAt"), cell: (row) => <Time at={row.looked_at} /> },
          { name: t("searches.alertedAt"), cell: (row) => <Time at={row.alerted_at} /> },
          { name: t("searches.owner"), cell: (row) => row.owner },
        ]}
      />
    </>
  );
}
