// Services by day as bars over which a span is drawn: the span becomes part of the query.

import { useRef, useState, type PointerEvent } from "react";
import { useTranslation } from "react-i18next";

import { number } from "../parts/text";
import type { Bin } from "./query";

const WIDTH = 720;
const HEIGHT = 96;
const GAP = 1;

export function Timeline({
  bins,
  label,
  onSpan,
}: {
  bins: Bin[];
  label: string;
  /** Called with the first and the last day. */
  onSpan: (from: string, to: string) => void;
}) {
  const { t } = useTranslation();
  const svg = useRef<SVGSVGElement>(null);
  const [span, setSpan] = useState<[number, number] | null>(null);
  const most = Math.max(1, ...bins.map((bin) => bin.count));
  const width = WIDTH / Math.max(1, bins.length);
  const binAt = (event: PointerEvent) => {
    const box = svg.current?.getBoundingClientRect();
    if (!box || box.width === 0) return 0;
    const at = Math.floor(((event.clientX - box.left) / box.width) * bins.length);
    return Math.min(bins.length - 1, Math.max(0, at));
  };
  const low = span ? Math.min(...span) : -1;
  const high = span ? Math.max(...span) : -1;
  const first = bins[0];
  const last = bins.at(-1);
  if (!first || !last) return <p className="pad quiet small">{t("search.noDays")}</p>;
  return (
    <div className="timeline">
      <svg
        ref={svg}
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={label}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          const at = binAt(event);
          setSpan([at, at]);
        }}
        onPointerMove={(event) => span && setSpan([span[0], binAt(event)])}
        onPointerUp={() => {
          const [from, to] = [bins[low], bins[high]];
          setSpan(null);
          if (from && to) onSpan(from.from, to.to);
        }}
        onPointerCancel={() => setSpan(null)}
      >
        {bins.map((bin, i) => {
          const height = bin.count === 0 ? 0 : Math.max(1.5, (bin.count / most) * (HEIGHT - 2));
          return (
            <g key={bin.from}>
              {/* All of the column tells its count. */}
              <rect x={i * width} y={0} width={width} height={HEIGHT} className="column" data-chosen={i >= low && i <= high && span !== null}>
                <title>{`${bin.from === bin.to ? bin.from : `${bin.from} – ${bin.to}`}: ${number(bin.count)}`}</title>
              </rect>
              <rect
                x={i * width + (width > 4 ? GAP / 2 : 0)}
                y={HEIGHT - height}
                width={Math.max(0.5, width - (width > 4 ? GAP : 0))}
                height={height}
                className="count"
              />
            </g>
          );
        })}
        <line x1="0" x2={WIDTH} y1={HEIGHT} y2={HEIGHT} />
      </svg>
      <div className="ends small quiet">
        <span>{first.from}</span>
        <span>{t("search.mostInBin", { count: most, n: number(most) })}</span>
        <span>{last.to}</span>
      </div>
    </div>
  );
}

/** The same by keyboard: two days. */
export function SpanForm({ first, last, onSpan }: { first: string; last: string; onSpan: (from: string, to: string) => void }) {
  const { t } = useTranslation();
  return (
    <form
      className="span small"
      onSubmit={(event) => {
        event.preventDefault();
        const data = new FormData(event.currentTarget);
        const [from, to] = [String(data.get("from") ?? ""), String(data.get("to") ?? "")];
        if (from && to) onSpan(from <= to ? from : to, from <= to ? to : from);
      }}
    >
      <label>
        {t("search.from")} <input type="date" name="from" key={first} defaultValue={first} />
      </label>
      <label>
        {t("search.to")} <input type="date" name="to" key={last} defaultValue={last} />
      </label>
      <button type="submit" className="link">
        {t("search.onlySpan")}
      </button>
    </form>
  );
}
