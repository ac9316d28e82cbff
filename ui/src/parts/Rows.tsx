// A real table, with its empty, loading and error states and its next page.

import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link, useSearchParams } from "react-router";

import { Empty, Loaded } from "./states";

export interface Column<T> {
  name: ReactNode;
  cell: (row: T) => ReactNode;
  /** Numbers stand on the right. */
  num?: boolean;
  /** Heads its row: for readers that speak the table. */
  head?: boolean;
}

export function Table<T>({
  caption,
  columns,
  rows,
  id,
  foot,
}: {
  caption: string;
  columns: Column<T>[];
  rows: T[];
  id: (row: T) => string;
  foot?: ReactNode;
}) {
  return (
    // Scrollable, hence reachable by keyboard.
    <div className="scroll" tabIndex={0} role="group" aria-label={caption}>
      <table className="rows">
        <caption className="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column, i) => (
              <th key={i} scope="col" className={column.num ? "num" : undefined}>
                {column.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={id(row)}>
              {columns.map((column, i) =>
                column.head ? (
                  <th key={i} scope="row" className={column.num ? "num" : undefined}>
                    {column.cell(row)}
                  </th>
                ) : (
                  <td key={i} className={column.num ? "num" : undefined}>
                    {column.cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
        {foot && <tfoot>{foot}</tfoot>}
      </table>
    </div>
  );
}

/** What a page of rows shows, and links to the first and the next one. The key of the page is in the URL. */
export function Pager({
  label,
  next,
  children,
}: {
  label: string;
  next: string | null | undefined;
  children: ReactNode;
}) {
  const { t } = useTranslation();
  const [params] = useSearchParams();
  const to = (key: string | null) => {
    const changed = new URLSearchParams(params);
    if (key === null) changed.delete("after");
    else changed.set("after", key);
    return `?${changed.toString()}`;
  };
  return (
    <nav className="pager" aria-label={label}>
      <span>{children}</span>
      <span className="links">
        {params.has("after") && <Link to={to(null)}>{t("common.first")}</Link>}
        {next && (
          <Link to={to(next)} rel="next">
            {t("common.next")} →
          </Link>
        )}
      </span>
    </nav>
  );
}

/** A list of the API: one page of rows, and links to the next. */
export function List<T>({
  caption,
  columns,
  query,
  id,
  empty,
}: {
  caption: string;
  columns: Column<T>[];
  query: UseQueryResult<{ items: T[]; next?: string | null }, Error>;
  id: (row: T) => string;
  empty: { title: string; text: string; filtered?: string | undefined };
}) {
  const { t } = useTranslation();
  const [params] = useSearchParams();
  const after = params.get("after");
  const filtered = [...params.keys()].some((name) => name !== "after" && name !== "lang");
  return (
    <div className="sheet" aria-busy={query.isFetching}>
      <Loaded query={query} lines={10}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty title={empty.title} text={filtered && empty.filtered ? empty.filtered : empty.text}>
              {(filtered || after) && <Link to="?">{t("common.clearFilters")}</Link>}
            </Empty>
          ) : (
            <>
              <Table caption={caption} columns={columns} rows={page.items} id={id} />
              <Pager label={caption} next={page.next}>
                {t("common.rows", { count: page.items.length })}
                {page.next && ` · ${t("common.more")}`}
              </Pager>
            </>
          )
        }
      </Loaded>
    </div>
  );
}
