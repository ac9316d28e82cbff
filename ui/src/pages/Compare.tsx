import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link, useSearchParams } from "react-router";

import { Failure } from "../api/client";
import { useFacets, useFields, useProviders } from "../api/queries";
import { compareFacets, type Pair } from "../explore/compare";
import { term, tokens, withOnly, withTerm } from "../explore/query";
import { QueryBox } from "../explore/QueryBox";
import { DayChoice } from "../explore/Known";
import { useValueName } from "../explore/values";
import { keep } from "../parts/Figure";
import { Icon } from "../parts/Icon";
import { PageHead, Section } from "../parts/Page";
import { Table } from "../parts/Rows";
import { Empty, Loaded } from "../parts/states";
import { csv, number, percent } from "../parts/text";
import { Num, Said } from "../parts/values";

/** Values asked for of each side. */
const VALUES_MAX = 200;
/** Values shown. */
const SHOWN_MAX = 50;

/** Two queries side by side: two providers, two months, two anything. */
export function ComparePage() {
  const { t } = useTranslation();
  const [params, setParams] = useSearchParams();
  const [a, b] = [params.get("a") ?? "", params.get("b") ?? ""];
  const by = params.get("by") || "product";
  const set = (changes: Record<string, string>) =>
    setParams((before) => {
      const next = new URLSearchParams(before);
      for (const [name, value] of Object.entries(changes)) {
        if (value) next.set(name, value);
        else next.delete(name);
      }
      return next;
    });
  const fields = useFields().data?.items ?? [];
  const [then, since] = [params.get("at-a") ?? "", params.get("at-b") ?? ""];
  const left = useFacets(a, `${by}:${VALUES_MAX}`, true, then);
  const right = useFacets(b, `${by}:${VALUES_MAX}`, true, since);
  const failed = (error: unknown) => (error instanceof Failure && error.code === "bad-query" ? error : null);
  return (
    <>
      <PageHead title={t("compare.title")} lead={t("compare.lead")} crumb={{ to: "/search", text: t("search.title") }} />
      <div className="two">
        <div className="dated">
          <QueryBox value={a} failure={failed(left.error)} label={t("compare.first")} onAsk={(query) => set({ a: query })} />
          <DayChoice label={t("compare.knownFirst")} value={then} onChange={(day) => set({ "at-a": day })} />
        </div>
        <div className="dated">
          <QueryBox value={b} failure={failed(right.error)} label={t("compare.second")} onAsk={(query) => set({ b: query })} />
          <DayChoice label={t("compare.knownSecond")} value={since} onChange={(day) => set({ "at-b": day })} />
        </div>
      </div>
      <Presets a={a} b={b} set={set} />
      {(then || since) && (
        <div className="notice" role="note" style={{ marginTop: "0.75rem" }}>
          <Icon name="info" />
          <span>
            <Said
              value={t("compare.known", { first: then || t("hosts.today"), second: since || t("hosts.today") })}
            />
          </span>
        </div>
      )}
      {!failed(left.error) && !failed(right.error) && (
        <Section
          title={t("compare.by", { field: t(`field.${by}`) })}
          aside={
            <label>
              {t("search.countBy")}{" "}
              <select value={by} onChange={(event) => set({ by: event.currentTarget.value })}>
                {fields
                  .filter((field) => field.countable)
                  .map((field) => (
                    <option key={field.name} value={field.name}>
                      {t(`field.${field.name}`)}
                    </option>
                  ))}
              </select>
            </label>
          }
        >
          <div className="sheet" aria-busy={left.isFetching || right.isFetching}>
            <Loaded query={left}>
              {(one) => (
                <Loaded query={right}>
                  {(other) => (
                    <Sides
                      field={by}
                      queries={[a, b]}
                      days={[then, since]}
                      totals={[one.total.services, other.total.services]}
                      pairs={compareFacets(one.facets[0]?.values ?? [], other.facets[0]?.values ?? [])}
                    />
                  )}
                </Loaded>
              )}
            </Loaded>
          </div>
        </Section>
      )}
    </>
  );
}

/** Two providers, or before and since a day. */
function Presets({ a, b, set }: { a: string; b: string; set: (changes: Record<string, string>) => void }) {
  const { t } = useTranslation();
  const providers = useProviders({ limit: "100" }).data?.items ?? [];
  const chosen = (query: string) =>
    providers.find(({ name }) => tokens(query).some(({ text }) => text === term("provider", name)))?.name ?? "";
  const choice = (label: string, side: "a" | "b", query: string) => (
    <label>
      {label}
      <select
        value={chosen(query)}
        onChange={(event) => set({ [side]: withOnly(query, "provider", term("provider", event.currentTarget.value)) })}
      >
        <option value="" disabled>
          {t("compare.chooseProvider")}
        </option>
        {providers.map(({ name }) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <div className="filters" style={{ marginTop: "0.75rem" }}>
      {providers.length > 1 && choice(t("compare.firstProvider"), "a", a)}
      {providers.length > 1 && choice(t("compare.secondProvider"), "b", b)}
      <label>
        {t("compare.day")}
        <input
          type="date"
          onChange={(event) => {
            const day = event.currentTarget.value;
            const base = tokens(a)
              .filter(({ text }) => !text.startsWith("first:"))
              .map(({ text }) => text)
              .join(" ");
            if (day) set({ a: withTerm(base, `first:<${day}`), b: withTerm(base, `first:>=${day}`) });
          }}
        />
      </label>
    </div>
  );
}

function Sides({
  field,
  queries,
  days,
  totals,
  pairs,
}: {
  field: string;
  queries: [string, string];
  /** By which each side was known; empty: today. */
  days: [string, string];
  totals: [number, number];
  pairs: Pair[];
}) {
  const { t } = useTranslation();
  const nameOf = useValueName(field);
  const share = (count: number, of: number) => (of === 0 ? 0 : count / of);
  const most = useMemo(
    () => Math.max(1e-9, ...pairs.flatMap(({ left, right }) => [share(left, totals[0]), share(right, totals[1])])),
    [pairs, totals],
  );
  if (pairs.length === 0) return <Empty title={t("search.emptyTitle")} text={t("compare.empty")} />;
  const side = (count: number, at: 0 | 1) => (
    <span className="side-bar">
      <i style={{ width: `${(100 * share(count, totals[at])) / most}%` }} data-side={at} />
    </span>
  );
  const searching = (at: 0 | 1, value: string) => {
    const asked = { q: withTerm(queries[at], term(field, value)), ...(days[at] ? { at: days[at] } : {}) };
    return `/search?${new URLSearchParams(asked).toString()}`;
  };
  const heading = (at: 0 | 1) => [queries[at] || "*", days[at]].filter(Boolean).join(" @ ");
  const difference = ({ left, right }: Pair) => {
    const points = 100 * (share(right, totals[1]) - share(left, totals[0]));
    return `${points > 0 ? "+" : ""}${number(points, 1)}`;
  };
  return (
    <>
      <Table
        caption={t("compare.title")}
        rows={pairs.slice(0, SHOWN_MAX)}
        id={(pair) => pair.value}
        columns={[
          { name: t(`field.${field}`), head: true, cell: (pair) => <Said value={nameOf(pair.value)} /> },
          {
            name: t("compare.first"),
            num: true,
            cell: (pair) => (
              <Link to={searching(0, pair.value)}>
                <Num value={pair.left} />
              </Link>
            ),
          },
          { name: t("compare.share"), num: true, cell: (pair) => percent(pair.left, totals[0]) ?? "–" },
          { name: <span className="hidden">{t("compare.shares")}</span>, cell: (pair) => <span className="sides" aria-hidden="true">{side(pair.left, 0)}{side(pair.right, 1)}</span> },
          { name: t("compare.share"), num: true, cell: (pair) => percent(pair.right, totals[1]) ?? "–" },
          {
            name: t("compare.second"),
            num: true,
            cell: (pair) => (
              <Link to={searching(1, pair.value)}>
                <Num value={pair.right} />
              </Link>
            ),
          },
          { name: t("compare.difference"), num: true, cell: difference },
        ]}
        foot={
          <tr>
            <th scope="row">{t("compare.total")}</th>
            <td className="num">{number(totals[0])}</td>
            <td colSpan={3} />
            <td className="num">{number(totals[1])}</td>
            <td />
          </tr>
        }
      />
      <div className="pager">
        <span>{pairs.length > SHOWN_MAX ? t("search.moreValues", { count: pairs.length - SHOWN_MAX }) : ""}</span>
        <button
          type="button"
          className="link"
          onClick={() =>
            keep(
              `kenshin-compare-${field}.csv`,
              csv([[field, heading(0), heading(1)], ...pairs.map((pair) => [pair.value, pair.left, pair.right])]),
            )
          }
        >
          CSV
        </button>
      </div>
    </>
  );
}
