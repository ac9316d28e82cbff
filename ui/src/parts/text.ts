// Making values readable. Pure functions, tested in test/text.test.ts.

/** U+202F: a thin space at which a number is not broken. */
export const THIN = "\u202f";

/** 12345.6 → "12 345.6" with thin spaces. */
export function number(value: number, digits = 0): string {
  const [whole = "", part] = Math.abs(value).toFixed(digits).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, THIN);
  return `${value < 0 ? "−" : ""}${grouped}${part ? `.${part}` : ""}`;
}

/** Share of a whole; null when there is no whole to be a share of. */
export function percent(count: number, of: number, digits = 1): string | null {
  if (of <= 0) return null;
  const value = (100 * count) / of;
  // Nearly all is not all, and nearly none is not none.
  const shown = value > 99.9 && count < of ? 99.9 : value < 0.1 && count > 0 ? 0.1 : value;
  const whole = shown === 0 || shown === 100;
  return `${number(shown, whole ? 0 : digits)}${THIN}%`;
}

/** Bytes in the largest unit of which there is at least one. */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [value, unit] = [count, 0];
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${number(value, unit === 0 || value >= 100 ? 0 : 1)}${THIN}${units[unit]}`;
}

/** Seconds as the two largest units. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s}${THIN}s`;
  if (s < 3600) return `${Math.floor(s / 60)}${THIN}min ${s % 60}${THIN}s`;
  if (s < 86_400) return `${Math.floor(s / 3600)}${THIN}h ${Math.floor((s % 3600) / 60)}${THIN}min`;
  return `${Math.floor(s / 86_400)}${THIN}d ${Math.floor((s % 86_400) / 3600)}${THIN}h`;
}

/** One piece of a received text: as it is, or written out because it would deceive the eye. */
export interface Piece {
  text: string;
  escaped: boolean;
}

/**
 * Splits received text into what may be shown and what is written out: control characters, what
 * changes the direction of writing, what is invisible, and halves of surrogate pairs.
 * A line feed is written out and kept; with `lines` (a text of ours) line ends are just kept.
 */
export function pieces(received: string, lines = false): Piece[] {
  const out: Piece[] = [];
  const add = (text: string, escaped: boolean) => {
    const last = out.at(-1);
    if (last && last.escaped === escaped) last.text += text;
    else out.push({ text, escaped });
  };
  for (const char of received) {
    const code = char.codePointAt(0) ?? 0;
    if (char === "\n") {
      if (!lines) add("\\n", true);
      add("\n", false);
    } else if (lines && (char === "\r" || char === "\t")) {
      if (char === "\t") add(char, false);
    } else if (char === "\r") add("\\r", true);
    else if (char === "\t") add("\\t", true);
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0)) add(`\\x${hex(code, 2)}`, true);
    else if (deceives(code)) add(code > 0xffff ? `\\u{${hex(code, 5)}}` : `\\u${hex(code, 4)}`, true);
    else add(char, false);
  }
  return out;
}

function hex(code: number, width: number): string {
  return code.toString(16).padStart(width, "0");
}

function deceives(code: number): boolean {
  return (
    code === 0xad || // soft hyphen
    code === 0x61c || // Arabic letter mark
    code === 0x180e ||
    (code >= 0x200b && code <= 0x200f) || // zero width, direction marks
    (code >= 0x2028 && code <= 0x202e) || // separators, embeddings, overrides
    (code >= 0x2060 && code <= 0x206f) || // joiners, isolates
    code === 0xfeff ||
    (code >= 0xd800 && code <= 0xdfff) || // half of a pair
    (code >= 0xfff0 && code <= 0xfffb) ||
    (code >= 0xe0000 && code <= 0xe0fff) // tags, variation selectors
  );
}

/** Received text with everything written out that would deceive the eye, where only text can stand: tips and names. */
export function written(received: string): string {
  return pieces(received)
    .map((piece) => piece.text)
    .join("");
}

/** What a spreadsheet would take for a formula begins so, also in the full-width forms of Japanese keyboards. */
const FORMULA = /^\s*[=+\-@|%＝＋－＠]/;

/**
 * Rows as CSV (RFC 4180). What would deceive the eye is written out, line ends too; what a spreadsheet would
 * take for a formula is marked as text.
 */
export function csv(rows: (string | number)[][]): string {
  const cell = (value: string | number) => {
    if (typeof value === "number") return String(value);
    const shown = written(value).replaceAll("\n", "");
    const text = FORMULA.test(shown) ? `'${shown}` : shown;
    return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}
