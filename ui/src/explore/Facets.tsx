// Counts by field, as bars that filter: a click takes a value into the query or out of it.

import { useTranslation } from "react-i18next";

import type { Schemas } from "../api/client";
import { keep } from "../parts/Figure";
import { csv, number, written } from "../parts/text";
import { Said } from "../parts/values";
import { has, term, withTerm, without } from "./query";
import { useValueName } from "./values";

export function FacetBars({
  facet,
  query,
  onQuery,
}: {
  facet: Schemas["FacetRow"];
  query: string;
  onQuery: (query: string) => void;
}) {
  const { t } = useTranslation();
  const nameOf = useValueName(facet.field);
  const title = t(`field.${facet.field}`);
  const most = Math.max(1, ...facet.values.map(({ count }) => count));
  return (
    <section className="facet" aria-label={title}>
      <div className="facethead">
        <h3>{title}</h3>
        {facet.values.length > 0 && (
          <button
            type="button"
            className="link small"
            aria-label={`CSV: ${title}`}
            onClick={() =>
              keep(
                `kenshin-${facet.field}.csv`,
                csv([[facet.field, "services"], ...facet.values.map(({ value, count }) => [value, count])]),
              )
            }
          >
            CSV
          </button>
        )}
      </div>
      {facet.values.length === 0 && <p className="small faint">{t("search.noValue")}</p>}
      <ul>
        {facet.values.map(({ value, count }) => {
          const wanted = term(facet.field, value);
          const chosen = has(query, wanted);
          const name = nameOf(value);
          const told = { value: written(name) };
          return (
            <li key={value}>
              <button
                type="button"
                className="bar"
                aria-pressed={chosen}
                title={chosen ? t("search.takeOut", told) : t("search.only", told)}
                onClick={() => onQuery(chosen ? without(query, wanted) : withTerm(query, wanted))}
              >
                <i style={{ width: `${(100 * count) / most}%` }} />
                <span className="value">
                  <Said value={name} />
                </span>
                <span className="count">{number(count)}</span>
              </button>
              <button
                type="button"
                className="not"
                aria-label={t("search.exclude", told)}
                title={t("search.exclude", told)}
                onClick={() => onQuery(withTerm(without(query, wanted), `-${wanted}`))}
              >
                −
              </button>
            </li>
          );
        })}
      </ul>
      {facet.more > 0 && <p className="small faint">{t("search.moreValues", { count: facet.more })}</p>}
    </section>
  );
}
