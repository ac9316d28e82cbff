import { lazy, Suspense, useEffect, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link, useOutletContext, useSearchParams } from "react-router";

import { Failure, type Schemas } from "../api/client";
import { useFacets, useFields, useSearch } from "../api/queries";
import { FacetBars } from "../explore/Facets";
import { remember } from "../explore/history";
import { DayChoice, KnownBy } from "../explore/Known";
import type { MapName } from "../explore/PlaceMap";
import { bins, term, withOnly, withTerm } from "../explore/query";
import { QueryBox } from "../explore/QueryBox";
import { SaveSearch } from "../explore/SaveSearch";
import { ServiceTable } from "../explore/ServiceTable";
import { SpanForm, Timeline } from "../explore/Timeline";
import { useValueName } from "../explore/values";
import { Figure, keep } from "../parts/Figure";
import { useFilter } from "../parts/Filters";
import { PageHead } from "../parts/Page";
import { Pager, Table } from "../parts/Rows";
import { Empty, Loaded, Loading, Trouble } from "../parts/states";
import { csv, number } from "../parts/text";
import { Num, Said } from "../parts/values";

const PlaceMap = lazy(() => import("../explore/PlaceMap"));

/** Counted beside every answer. */
const FACETS = ["protocol", "port", "product", "type", "provider", "country", "tls", "label"];
/** Services in a file at most. */
const EXPORT_MAX = 50_000;
/** Days counted for the time line at most. */
const DAYS_MAX = 1000;
const TIMES = ["first", "seen", "asked"] as const;
const SORTS = ["ip", "-seen", "seen", "-first", "first", "port", "product", "vendor", "country"];

const EXAMPLES = [
  "protocol:telnet seen:7d",
  "product:dropbear version:<2020.1",
  "tls:TLSv1,TLSv1.1 -port:443",
  "expires:30d",
  'state:refused,dark seen:30d',
];

export function SearchPage() {
  const { t } = useTranslation();
  const me = useOutletContext<Schemas["Me"]>();
  const [params, setParams] = useSearchParams();
  const q = params.get("q") ?? "";
  const sort = params.get("sort") ?? "";
  const after = params.get("after") ?? "";
  const more = params.get("by") ?? "";
  const [, setBy] = useFilter("by");
  const [at, setAt] = useFilter("at");
  const ask = (query: string) =>
    setParams((before) => {
      const next = new URLSearchParams(before);
      next.delete("after");
      if (query) next.set("q", query);
      else next.delete("q");
      return next;
    });
  // Other queries keep the day.
  const to = (query: string) => `?${new URLSearchParams({ q: query, ...(at ? { at } : {}) }).toString()}`;
  const search = useSearch({ q, ...(sort ? { sort } : {}), ...(after ? { after } : {}), ...(at ? { at } : {}) });
  const failure = search.error instanceof Failure && search.error.code === "bad-query" ? search.error : null;
  // The past is made from observations: it is told once whether that can be done, and asked for no more
  // until it is.
  const lost = at && !failure ? search.error : null;
  const ready = !at || (search.isSuccess && !search.isPlaceholderData);
  const wanted = [...(more && !FACETS.includes(more) ? [more] : []), ...FACETS];
  const facets = useFacets(q, wanted.map((field) => `${field}:8`).join(","), failure === null && ready, at);
  const fields = useFields().data?.items ?? [];
  const found = search.data?.total.services;
  useEffect(() => {
    if (found && !search.isPlaceholderData) remember(q);
  }, [q, found, search.isPlaceholderData]);
  const total = facets.data?.total ?? search.data?.total;
  return (
    <>
      <PageHead title={t("search.title")} lead={t(at ? "search.leadThen" : "search.lead")}>
        {me.actions.includes("save-searches") && !failure && !at && <SaveSearch query={search.data?.query ?? q} />}
        <DayChoice label={t("known.choose")} value={at} onChange={setAt} />
        <Link to="/searches">{t("searches.title")}</Link>
        <Link to={comparing(q, at)}>{t("search.compare")}</Link>
        <Link to="/sql">SQL</Link>
      </PageHead>
      {at && <KnownBy at={at} text={t("known.search")} onToday={() => setAt("")} />}
      <QueryBox value={q} failure={failure} label={t("search.query")} onAsk={ask} />
      {lost && (
        <div className="sheet" style={{ marginTop: "1rem" }}>
          <Trouble error={lost} retry={() => void search.refetch()} />
        </div>
      )}
      {!failure && !lost && !ready && (
        <div className="sheet" style={{ marginTop: "1rem" }} aria-busy>
          <p className="pad quiet">{t("known.reading")}</p>
          <Loading lines={8} />
        </div>
      )}
      {failure || lost || !ready ? null : (
        <div className="explore" data-query={q} aria-busy={search.isFetching || facets.isFetching}>
          <div className="answers">
            <p className="totals" role="status">
              {total && (
                <>
                  <b>{number(total.services)}</b> {t("search.services", { count: total.services })}{" "}
                  <span className="quiet">{t("search.onHosts", { count: total.hosts, n: number(total.hosts) })}</span>
                </>
              )}
            </p>
            {total?.services !== 0 && (
              <div className="two">
                <When query={q} at={at} onQuery={ask} />
                <Where query={q} at={at} onQuery={ask} />
              </div>
            )}
            <section className="section" aria-label={t("search.found")}>
              <div className="sectionhead">
                <h2>{t("search.found")}</h2>
                <span className="controls small">
                  <label>
                    {t("common.order")}{" "}
                    <select
                      value={sort}
                      onChange={(event) => {
                        const value = event.currentTarget.value;
                        setParams((before) => {
                          const next = new URLSearchParams(before);
                          next.delete("after");
                          if (value) next.set("sort", value);
                          else next.delete("sort");
                          return next;
                        });
                      }}
                    >
                      {SORTS.map((name) => (
                        <option key={name} value={name === "ip" ? "" : name}>
                          {t(`field.${name.replace("-", "")}`)} {name.startsWith("-") ? "↓" : "↑"}
                        </option>
                      ))}
                    </select>
                  </label>
                  {search.data && search.data.items.length > 0 && (
                    <button
                      type="button"
                      className="link"
                      onClick={() => keep(`kenshin-services${at && `-${at.slice(0, 10)}`}.csv`, csv(serviceRows(search.data.items)))}
                    >
                      {t("search.pageCsv")}
                    </button>
                  )}
                  {total && total.services > 0 && total.services <= EXPORT_MAX && (
                    <a href={exporting(q, sort, at)} download>
                      {t("search.allCsv")}
                    </a>
                  )}
                </span>
              </div>
              <div className="sheet">
                <Loaded query={search} lines={10}>
                  {(page) =>
                    page.items.length === 0 ? (
                      <Empty title={t("search.emptyTitle")} text={t(q ? "search.emptyQuery" : "search.empty")}>
                        {q && !/\bstate:/.test(q) && (
                          <Link to={to(withTerm(q, "state:*"))}>{t("search.alsoGone")}</Link>
                        )}
                      </Empty>
                    ) : (
                      <>
                        <ServiceTable caption={t("search.found")} services={page.items} at={at} />
                        <Pager label={t("search.found")} next={page.next}>
                          {t("search.shown", { count: page.items.length, of: number(page.total.services) })}
                        </Pager>
                      </>
                    )
                  }
                </Loaded>
              </div>
            </section>
            {!q && (
              <section className="section">
                <h2>{t("search.examples")}</h2>
                <ul className="examples">
                  {EXAMPLES.map((example) => (
                    <li key={example}>
                      <Link to={to(example)}>
                        <code>{example}</code>
                      </Link>
                    </li>
                  ))}
                </ul>
              </section>
            )}
            {(q || at) && (
              <p className="small quiet" style={{ marginTop: "0.75rem" }}>
                {t("search.inShell")}:{" "}
                <code>
                  kenshin search <Said value={`${shell(q)}${at ? ` --at ${shell(at)}` : ""}`} /> --format jsonl
                </code>
              </p>
            )}
          </div>
          <aside className="facets" aria-label={t("search.facets")}>
            <Loaded query={facets} lines={14}>
              {(counted) =>
                counted.facets
                  .filter((facet) => facet.values.length > 0 || facet.field === more)
                  .map((facet) => <FacetBars key={facet.field} facet={facet} query={q} onQuery={ask} />)
              }
            </Loaded>
            <label className="small quiet">
              {t("search.countBy")}{" "}
              <select value={more} onChange={(event) => setBy(event.currentTarget.value)}>
                <option value="">–</option>
                {fields
                  .filter((field) => field.countable && !FACETS.includes(field.name))
                  .map((field) => (
                    <option key={field.name} value={field.name}>
                      {t(`field.${field.name}`)}
                    </option>
                  ))}
              </select>
            </label>
          </aside>
        </div>
      )}
    </>
  );
}

/** The comparison of this query with another; with a day, of that day with today. */
function comparing(query: string, at: string): string {
  const asked: Record<string, string> = at ? { a: query, "at-a": at, b: query } : { a: query };
  return `/compare?${new URLSearchParams(asked).toString()}`;
}

/** Where all that is found is to be had as a file. */
function exporting(q: string, sort: string, at: string): string {
  const asked = new URLSearchParams({ q, format: "csv", ...(sort ? { sort } : {}), ...(at ? { at } : {}) });
  return `/api/v1/search/export?${asked.toString()}`;
}

/** In single quotes, as shells of POSIX take it. */
function shell(query: string): string {
  return `'${query.replaceAll("'", `'\\''`)}'`;
}

function serviceRows(services: Schemas["Service"][]): (string | number)[][] {
  const names = ["addr", "port", "transport", "protocol", "state", "vendor", "product", "version", "title", "server", "banner", "country", "provider", "first_at", "seen_at", "asked_at"] as const;
  return [[...names], ...services.map((service) => names.map((name) => service[name] ?? ""))];
}

/** Services by day. */
function When({ query, at, onQuery }: { query: string; at: string; onQuery: (query: string) => void }) {
  const { t } = useTranslation();
  const [chosen, choose] = useFilter("when");
  const field = TIMES.find((time) => time === chosen) ?? "first";
  const facets = useFacets(query, `${field}:${DAYS_MAX}`, true, at);
  const days = facets.data?.facets[0];
  const binned = useMemo(() => bins(days?.values ?? []), [days]);
  const onSpan = (from: string, last: string) => onQuery(withOnly(query, field, `${field}:${from}..${last}`));
  const label = (bin: { from: string; to: string }) => (bin.from === bin.to ? bin.from : `${bin.from} – ${bin.to}`);
  return (
    <Figure
      id="when"
      title={t("search.when")}
      unit={t("search.unitServices")}
      source={t(at ? "search.sourceThen" : "search.source")}
      rows={[["from", "to", "services"], ...binned.map((bin) => [bin.from, bin.to, bin.count])]}
      table={
        <Table
          caption={t("search.when")}
          rows={binned.filter((bin) => bin.count > 0)}
          id={(bin) => bin.from}
          columns={[
            { name: t("search.days"), head: true, cell: label },
            { name: t("search.unitServices"), num: true, cell: (bin) => <Num value={bin.count} /> },
          ]}
        />
      }
    >
      <div className="pad">
        <div className="toggle" role="group" aria-label={t("search.when")}>
          {TIMES.map((time) => (
            <button key={time} type="button" aria-pressed={time === field} onClick={() => choose(time === "first" ? "" : time)}>
              {t(`field.${time}`)}
            </button>
          ))}
        </div>
        <Loaded query={facets} lines={3}>
          {() => <Timeline bins={binned} label={`${t("search.when")}: ${t(`field.${field}`)}`} onSpan={onSpan} />}
        </Loaded>
        <SpanForm first={binned[0]?.from ?? ""} last={binned.at(-1)?.to ?? ""} onSpan={onSpan} />
        {days && days.more > 0 && <p className="small faint">{t("search.moreValues", { count: days.more })}</p>}
      </div>
    </Figure>
  );
}

/** Services by country, and by prefecture of Japan. */
function Where({ query, at, onQuery }: { query: string; at: string; onQuery: (query: string) => void }) {
  const { t } = useTranslation();
  const [chosen, choose] = useFilter("map");
  const map: MapName = chosen === "japan" ? "japan" : "world";
  const field = map === "japan" ? "region" : "country";
  const nameOf = useValueName(field);
  const facets = useFacets(query, `${field}:300`, true, at);
  const values = facets.data?.facets[0]?.field === field ? facets.data.facets[0].values : [];
  const counts = useMemo(() => new Map(values.map(({ value, count }) => [value, count])), [values]);
  const known = values.reduce((sum, { count }) => sum + count, 0);
  const total = facets.data?.total.services ?? 0;
  return (
    <Figure
      id="where"
      title={t("search.where")}
      unit={t("search.unitServices")}
      source={t(at ? "search.placesSourceThen" : "search.placesSource")}
      rows={[[field, "services"], ...values.map(({ value, count }) => [value, count])]}
      table={
        <Table
          caption={t("search.where")}
          rows={values}
          id={(row) => row.value}
          columns={[
            {
              name: t(`field.${field}`),
              head: true,
              cell: (row) => (
                <button type="button" className="link" onClick={() => onQuery(withTerm(query, term(field, row.value)))}>
                  {nameOf(row.value)}
                </button>
              ),
            },
            { name: t("search.unitServices"), num: true, cell: (row) => <Num value={row.count} /> },
          ]}
        />
      }
    >
      <div className="pad">
        <div className="toggle" role="group" aria-label={t("search.where")}>
          {(["world", "japan"] as const).map((name) => (
            <button key={name} type="button" aria-pressed={name === map} onClick={() => choose(name === "world" ? "" : name)}>
              {t(name === "world" ? "search.world" : "search.japan")}
            </button>
          ))}
        </div>
        <Suspense fallback={<Loading lines={6} />}>
          <PlaceMap
            map={map}
            counts={counts}
            nameOf={nameOf}
            label={t("search.mapLabel", { places: values.slice(0, 5).map(({ value, count }) => `${nameOf(value)} ${count}`).join(", ") || t("common.none") })}
            onPick={(code) => onQuery(withTerm(query, term(field, code)))}
          />
        </Suspense>
        {known < total && (
          <p className="small faint">{t("search.placeUnknown", { n: number(total - known), of: number(total) })}</p>
        )}
      </div>
    </Figure>
  );
}
