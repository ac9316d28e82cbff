// Numbers, instants and received text, each shown in one way everywhere.

import { useTranslation } from "react-i18next";

import type { Schemas } from "../api/client";
import { number, percent, pieces } from "./text";

/** A count; nought is there but quiet. */
export function Num({ value, digits = 0 }: { value: number; digits?: number }) {
  return <span className={value === 0 ? "zero" : undefined}>{number(value, digits)}</span>;
}

/** A share with its whole: the percentage, and what it is of on hover. */
export function Share({ count, of }: { count: number; of: number }) {
  const { t } = useTranslation();
  const text = percent(count, of);
  if (text === null) return <span className="faint">–</span>;
  return <span title={t("common.ofWhat", { n: number(count), of: number(of) })}>{text}</span>;
}

/** How much of what answers was missed, beside a count: an estimate with its interval. */
export function Miss({ miss }: { miss: Schemas["Miss"] | null | undefined }) {
  const { t } = useTranslation();
  if (!miss || (miss.asked === 0 && miss.canary_asked === 0)) {
    return <span className="faint">{t("surveys.missUnknown")}</span>;
  }
  const canaries =
    miss.canary_asked > 0 &&
    t("surveys.canaries", { missed: number(miss.canary_missed), asked: number(miss.canary_asked) });
  if (miss.asked === 0) return <span>{canaries}</span>;
  const share = (value: number) => number(value * 100, value > 0 && value < 0.01 ? 2 : 1);
  return (
    <span title={t("surveys.missHelp", { missed: number(miss.missed), asked: number(miss.asked) })}>
      {t("surveys.miss", { rate: share(miss.rate), low: share(miss.low), high: share(miss.high) })}
      {canaries && <> · {canaries}</>}
    </span>
  );
}

/** An instant in the viewer's zone; UTC on hover. */
export function Time({
  at,
  seconds = false,
  day = false,
}: {
  at: string | null | undefined;
  seconds?: boolean;
  /** Only the day, where a list has little room. */
  day?: boolean;
}) {
  const { i18n } = useTranslation();
  if (!at) return <span className="faint">–</span>;
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return <Said value={at} />;
  const shown = new Intl.DateTimeFormat(i18n.language === "ja" ? "ja-JP" : "en-CA", {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    ...(day ? {} : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
    ...(seconds ? { second: "2-digit" } : {}),
  })
    .format(time)
    .replace(",", "");
  return (
    <time className="nowrap" dateTime={at} title={`${time.toISOString().slice(0, 19).replace("T", " ")} UTC`}>
      {shown}
    </time>
  );
}

function Pieces({ value, lines = false }: { value: string; lines?: boolean }) {
  return pieces(value, lines).map((piece, i) =>
    piece.escaped ? (
      <span key={i} className="escaped">
        {piece.text}
      </span>
    ) : (
      <span key={i}>{piece.text}</span>
    ),
  );
}

/** Received bytes in a box. */
export function Bytes({ value, lines = false }: { value: string; lines?: boolean }) {
  const { t } = useTranslation();
  return (
    // Scrollable, hence reachable by keyboard.
    <pre className="bytes" dir="ltr" tabIndex={0} title={t("common.bytesHint")}>
      <Pieces value={value} lines={lines} />
    </pre>
  );
}

/** Received text within a line: product names, notes, what the other side said. */
export function Said({ value, lines = false }: { value: string; lines?: boolean }) {
  return (
    <span className="said">
      <Pieces value={value} lines={lines} />
    </span>
  );
}
