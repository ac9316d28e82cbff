import { Button } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import { useSql } from "../api/queries";
import { keep } from "../parts/Figure";
import { PageHead } from "../parts/Page";
import { Table } from "../parts/Rows";
import { Empty, Loaded } from "../parts/states";
import { csv, written } from "../parts/text";
import { Said } from "../parts/values";

const EXAMPLES = [
  "SELECT protocol, count(*) AS services FROM services\nGROUP BY 1 ORDER BY 2 DESC",
  "SELECT product, version, count(*) AS n FROM services\nWHERE version_cmp(version, '2.0') < 0 GROUP BY 1, 2 ORDER BY 3 DESC",
  "SELECT date_trunc('day', t) AS day, outcome, count(*) AS n FROM observations\nGROUP BY 1, 2 ORDER BY 1, 3 DESC",
  "DESCRIBE observations",
];

/** The tables of the lake by SQL. The query is in the address. */
export function SqlPage() {
  const { t } = useTranslation();
  const [params, setParams] = useSearchParams();
  const asked = params.get("sql") ?? "";
  const [text, setText] = useState(asked || EXAMPLES[0] || "");
  const query = useSql(asked);
  const ask = (sql: string) => {
    setText(sql);
    if (sql.trim() === asked) void query.refetch();
    else setParams({ sql: sql.trim() });
  };
  return (
    <>
      <PageHead title={t("sql.title")} lead={t("sql.lead")} crumb={{ to: "/search", text: t("search.title") }} />
      <form
        className="sql"
        onSubmit={(event) => {
          event.preventDefault();
          ask(text);
        }}
      >
        <label htmlFor="sql" className="hidden">
          {t("sql.query")}
        </label>
        <textarea
          id="sql"
          rows={Math.min(16, Math.max(4, text.split("\n").length + 1))}
          value={text}
          spellCheck={false}
          maxLength={32_768}
          onChange={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
            event.preventDefault();
            ask(text);
          }}
        />
        <div className="controls">
          <Button type="submit" size="sm" loading={query.isFetching}>
            {t("sql.ask")}
          </Button>
          <span className="small quiet">{t("sql.keys")}</span>
        </div>
      </form>
      {asked ? (
        <section className="section" aria-label={t("sql.answer")}>
          <div className="sheet" aria-busy={query.isFetching}>
            <Loaded query={query}>
              {(answer) =>
                answer.rows.length === 0 ? (
                  <Empty title={t("sql.none")} text={written(answer.columns.map(({ name }) => name).join(", "))} />
                ) : (
                  <>
                    <Table<{ row: Record<string, unknown>; at: number }>
                      caption={t("sql.answer")}
                      rows={answer.rows.map((row, at) => ({ row, at }))}
                      id={({ at }) => String(at)}
                      columns={answer.columns.map(({ name, kind }) => ({
                        name: (
                          <span title={kind}>
                            <Said value={name} />
                          </span>
                        ),
                        num: /^(U?Int|Float|Decimal)/.test(kind),
                        cell: ({ row }) => <Cell value={row[name]} />,
                      }))}
                    />
                    <div className="pager">
                      <span>{t("common.rows", { count: answer.rows.length })}</span>
                      <button
                        type="button"
                        className="link"
                        onClick={() =>
                          keep(
                            "kenshin-sql.csv",
                            csv([
                              answer.columns.map(({ name }) => name),
                              ...answer.rows.map((row) => answer.columns.map(({ name }) => shown(row[name]))),
                            ]),
                          )
                        }
                      >
                        CSV
                      </button>
                    </div>
                  </>
                )
              }
            </Loaded>
          </div>
        </section>
      ) : (
        <section className="section">
          <h2>{t("search.examples")}</h2>
          <ul className="examples">
            {EXAMPLES.map((example) => (
              <li key={example}>
                <button type="button" className="link" onClick={() => ask(example)}>
                  <code>{example}</code>
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function shown(value: unknown): string | number {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "string") return value;
  return JSON.stringify(value);
}

function Cell({ value }: { value: unknown }) {
  if (value === null || value === undefined) return <span className="faint">–</span>;
  return <Said value={String(shown(value)).slice(0, 2000)} />;
}
