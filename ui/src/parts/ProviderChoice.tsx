import { useTranslation } from "react-i18next";
import { useOutletContext } from "react-router";

import type { Schemas } from "../api/client";
import { useProviders } from "../api/queries";
import { Choice } from "./Filters";

/** Filter by provider; the directory's first 500 by name. */
export function ProviderChoice() {
  const { t } = useTranslation();
  const me = useOutletContext<Schemas["Me"]>();
  const query = useProviders({ limit: "500" }, me.actions.includes("see-providers"));
  if (!query.data) return null;
  return (
    <Choice
      name="provider"
      label={t("findings.provider")}
      options={query.data.items.map((row) => ({ value: row.provider_id, text: row.name }))}
    />
  );
}
