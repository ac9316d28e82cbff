// A chart's frame: title, unit, source, and the table behind it. Which of the two is shown is in
// the URL.

import { lazy, Suspense, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

import type { ChartSpec } from "../charts/spec";
import { Loading } from "./states";
import { csv } from "./text";

const Chart = lazy(() => import("../charts/Chart"));

/** Hands a text to the reader as a file. */
export function keep(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}

export function Figure({
  id,
  title,
  unit,
  source,
  remark,
  legend,
  table,
  rows,
  children,
}: {
  /** Names the figure in the URL. */
  id: string;
  title: string;
  unit: string;
  source: string;
  remark?: string;
  legend?: ReactNode;
  table: ReactNode;
  /** What is shown, to be kept as CSV: a row of names, then rows of values. */
  rows?: (string | number)[][];
  children: ReactNode;
}) {
  const { t } = useTranslation();
  const [params, setParams] = useSearchParams();
  const open = params.getAll("table").includes(id);
  const toggle = () =>
    setParams(
      (before) => {
        const next = new URLSearchParams(before);
        const others = before.getAll("table").filter((name) => name !== id);
        next.delete("table");
        for (const name of open ? others : [...others, id]) next.append("table", name);
        return next;
      },
      { replace: true, preventScrollReset: true },
    );
  return (
    <figure className="figure">
      <figcaption>
        <h2>{title}</h2>
        <span className="controls">
          {rows && (
            <button type="button" className="link small nowrap" onClick={() => keep(`kenshin-${id}.csv`, csv(rows))}>
              CSV
            </button>
          )}
          <button type="button" className="link small nowrap" aria-pressed={open} onClick={toggle}>
            {open ? t("common.showChart") : t("common.showTable")}
          </button>
        </span>
      </figcaption>
      {remark && <p className="remark">{remark}</p>}
      {!open && legend && <div className="legend">{legend}</div>}
      {open ? table : children}
      <div className="below" style={open ? { paddingTop: "0.625rem" } : undefined}>
        <span>
          {t("common.unit")}: {unit}
        </span>
        <span>
          {t("common.source")}: {source}
        </span>
      </div>
    </figure>
  );
}

/** A chart that is fetched when the first one is shown. */
export function Plot({ spec, label, height }: { spec: ChartSpec; label: string; height: number }) {
  return (
    <Suspense fallback={<div style={{ height }}><Loading lines={3} /></div>}>
      <Chart spec={spec} label={label} height={height} />
    </Suspense>
  );
}
