import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { useProviders } from "../api/queries";
import { useFilters } from "../parts/Filters";
import { PageHead } from "../parts/Page";
import { List } from "../parts/Rows";
import { Num } from "../parts/values";
import { Plain } from "../parts/words";

export function ProvidersPage() {
  const { t } = useTranslation();
  const query = useProviders(useFilters(["after"]));
  return (
    <>
      <PageHead title={t("providers.title")} />
      <List
        caption={t("providers.title")}
        query={query}
        id={(row) => row.provider_id}
        empty={{ title: t("providers.emptyTitle"), text: t("providers.empty") }}
        columns={[
          {
            name: t("providers.name"),
            head: true,
            cell: (row) => (
              <>
                <Link to={`/cases?provider=${row.provider_id}`}>{row.name}</Link>
                {row.retired && <span className="under">{t("providers.retired")}</span>}
              </>
            ),
          },
          { name: t("providers.mail"), cell: (row) => <code>{row.mail}</code> },
          { name: t("providers.language"), cell: (row) => <Plain list="language" word={row.language} /> },
          { name: t("providers.encryption"), cell: (row) => <Plain list="protection" word={row.protection} /> },
          {
            name: t("providers.claims"),
            cell: (row) => (
              <span className="claims">
                {row.claims.slice(0, 6).map((claim) => (
                  <code key={claim}>{claim}</code>
                ))}
                {row.claims.length > 6 && <span className="faint">+{row.claims.length - 6}</span>}
              </span>
            ),
          },
          { name: t("providers.cases"), num: true, cell: (row) => <Num value={row.cases} /> },
          {
            name: t("providers.open"),
            num: true,
            cell: (row) => <Link to={`/cases?provider=${row.provider_id}&open=true`}>{row.open}</Link>,
          },
        ]}
      />
    </>
  );
}
