// What became of the notified cases: one bar whose parts differ by pattern, and a table behind it.

import { useTranslation } from "react-i18next";

import { Figure } from "./Figure";
import { Table } from "./Rows";
import { number, percent } from "./text";
import { Num } from "./values";

/** In the order of the bar: recovery first, silence last. */
const PARTS: { word: string; list: "reason" | "condition"; fill: string }[] = [
  { word: "remedied", list: "reason", fill: "fill-solid" },
  { word: "exposure-ended", list: "reason", fill: "fill-mid" },
  { word: "clean", list: "condition", fill: "fill-solid" },
  { word: "service-gone", list: "condition", fill: "fill-mid" },
  { word: "affected", list: "condition", fill: "fill-ink" },
  { word: "elsewhere", list: "condition", fill: "fill-cross" },
  { word: "replaced", list: "condition", fill: "fill-dots" },
  { word: "unobservable", list: "condition", fill: "fill-stripe" },
  { word: "accepted-risk", list: "reason", fill: "fill-plain" },
  { word: "retired", list: "reason", fill: "fill-plain" },
  { word: "false-positive", list: "reason", fill: "fill-plain" },
  { word: "withdrawn", list: "reason", fill: "fill-plain" },
];

export function Outcome({
  notified,
  outcome,
  source,
  remark,
  aside,
}: {
  notified: number;
  outcome: Record<string, number>;
  source: string;
  remark: string;
  aside?: string | undefined;
}) {
  const { t } = useTranslation();
  const parts = PARTS.map((part) => ({ ...part, count: outcome[part.word] ?? 0 })).filter((part) => part.count > 0);
  const title = t("overview.outcomeTitle");
  return (
    <Figure
      id="outcome"
      title={title}
      unit={t("overview.outcomeUnit", { notified: number(notified) })}
      source={source}
      remark={aside ? `${remark} ${aside}` : remark}
      table={
        <Table
          caption={title}
          rows={parts}
          id={(row) => row.word}
          columns={[
            {
              name: t("overview.outcomeColumn"),
              head: true,
              cell: (row) => (
                <span className="word">
                  <i className={`key ${row.fill}`} aria-hidden="true" />
                  {t(`${row.list}.${row.word}`)}
                </span>
              ),
            },
            { name: t("nav.cases"), num: true, cell: (row) => <Num value={row.count} /> },
            { name: t("overview.ofNotified"), num: true, cell: (row) => percent(row.count, notified) ?? "–" },
          ]}
        />
      }
    >
      {parts.length === 0 ? (
        <p className="pad quiet">{t("overview.outcomeFirst")}</p>
      ) : (
        <>
          <div className="stackbar" role="img" aria-label={title}>
            {parts.map((part) => (
              <i
                key={part.word}
                className={part.fill}
                style={{ flex: `${part.count} 0 0` }}
                title={`${t(`${part.list}.${part.word}`)}: ${number(part.count)}`}
              />
            ))}
          </div>
          <div className="legend outcome">
            {parts.map((part) => (
              <span key={part.word}>
                <i className={`key ${part.fill}`} aria-hidden="true" />
                {t(`${part.list}.${part.word}`)}
                <b>{number(part.count)}</b>
                <span className="faint">{percent(part.count, notified)}</span>
              </span>
            ))}
          </div>
        </>
      )}
    </Figure>
  );
}
