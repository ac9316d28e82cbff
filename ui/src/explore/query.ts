// Reading and changing a query as it is written. Pure functions, tested in test/query.test.ts. What a
// query means is decided by the server alone (docs/search.md).

/** A part of a query between blanks that are not in quotes. */
export interface Token {
  text: string;
  start: number;
  end: number;
}

/** The parts of a query: terms, `OR`, parentheses. */
export function tokens(query: string): Token[] {
  const out: Token[] = [];
  let start = -1;
  let quoted = false;
  const end = (at: number) => {
    if (start >= 0) out.push({ text: query.slice(start, at), start, end: at });
    start = -1;
  };
  for (let i = 0; i < query.length; i += 1) {
    const c = query[i] ?? "";
    if (quoted) {
      if (c === "\\") i += 1;
      else if (c === '"') quoted = false;
    } else if (/\s/.test(c)) end(i);
    else if (c === "(" || c === ")") {
      // The sign that denies a group belongs to it.
      const from = c === "(" && start >= 0 && query.slice(start, i) === "-" ? start : i;
      if (from < i) start = -1;
      end(i);
      out.push({ text: query.slice(from, i + 1), start: from, end: i + 1 });
    } else {
      if (c === '"') quoted = true;
      if (start < 0) start = i;
    }
  }
  end(query.length);
  return out;
}

/** The part at a place of the text, where something is being written; an empty one between parts. */
export function tokenAt(query: string, place: number): Token {
  const found = tokens(query).find((token) => token.start <= place && place <= token.end && !/^-?[()]$/.test(token.text));
  return found ?? { text: "", start: place, end: place };
}

/** A value as it is written in a query: in quotes unless it is a plain word. */
export function quoted(value: string): string {
  return /^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$/u.test(value) && !value.includes("..")
    ? value
    : inQuotes(value);
}

/** `field:value`. Without quotes a vendor or product may be one word of a name; here the whole is meant. */
export function term(field: string, value: string): string {
  const whole = field === "vendor" || field === "product";
  return `${field}:${whole ? inQuotes(value) : quoted(value)}`;
}

function inQuotes(value: string): string {
  return `"${value.replace(/[\\"]/g, "\\$&")}"`;
}

/** True when a query has this very term. */
export function has(query: string, wanted: string): boolean {
  return tokens(query).some((token) => token.text === wanted);
}

/** The query without this very term. */
export function without(query: string, unwanted: string): string {
  return tokens(query)
    .filter((token) => token.text !== unwanted)
    .map((token) => token.text)
    .join(" ");
}

/** The query with a term; around an `OR` that would bind less, parentheses come. */
export function withTerm(query: string, wanted: string): string {
  const parts = tokens(query);
  if (parts.some((token) => token.text === wanted)) return query;
  const before = query.trim();
  if (before === "") return wanted;
  let depth = 0;
  const alternatives = parts.some((token) => {
    if (token.text.endsWith("(")) depth += 1;
    if (token.text === ")") depth -= 1;
    return depth === 0 && token.text === "OR";
  });
  return alternatives ? `(${before}) ${wanted}` : `${before} ${wanted}`;
}

/** The query with a term for a field, in the place of those that it had for it. */
export function withOnly(query: string, field: string, wanted: string): string {
  const others = tokens(query).filter((token) => !token.text.startsWith(`${field}:`));
  return withTerm(others.map((token) => token.text).join(" "), wanted);
}

/** What may come next while a part of the query is being written. */
export interface Wanted {
  /** Names of fields beginning so; or values of this field. */
  field: string | null;
  /** What was written of it. */
  prefix: string;
  /** What is replaced. */
  start: number;
  end: number;
}

/** What is being written at a place of the query; null inside of quotes and ranges, where nothing can be offered. */
export function wanted(query: string, place: number): Wanted | null {
  const token = tokenAt(query, place);
  const sign = /^-/.test(token.text) ? 1 : 0;
  const text = token.text.slice(sign, Math.max(sign, place - token.start));
  const start = token.start + sign;
  const colon = text.indexOf(":");
  if (colon < 0) return /["*]/.test(text) ? null : { field: null, prefix: text, start, end: token.end };
  // Behind the last comma stands the value that is being written.
  const from = Math.max(colon, text.lastIndexOf(",")) + 1;
  const prefix = text.slice(from);
  if (/["*<>]|\.\./.test(prefix)) return null;
  return { field: text.slice(0, colon), prefix, start: start + from, end: token.end };
}

/** Days between the first and the last of a count by day, in bins of one day, a week or more, so that there are at most `most`. */
export interface Bin {
  /** First and last day, `YYYY-MM-DD`. */
  from: string;
  to: string;
  count: number;
}

const DAY_MS = 86_400_000;

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** Counts by day as bins that follow each other without a gap. */
export function bins(days: { value: string; count: number }[], most = 90): Bin[] {
  const known = days
    .map(({ value, count }) => ({ at: Date.parse(`${value.slice(0, 10)}T00:00:00Z`), count }))
    .filter(({ at }) => !Number.isNaN(at));
  if (known.length === 0) return [];
  const first = Math.min(...known.map(({ at }) => at));
  const last = Math.max(...known.map(({ at }) => at));
  const span = Math.round((last - first) / DAY_MS) + 1;
  const width = [1, 7, 14, 28, 91, 182].find((days) => span / days <= most) ?? Math.ceil(span / most);
  const out: Bin[] = [];
  for (let at = first; at <= last; at += width * DAY_MS)
    out.push({ from: day(at), to: day(Math.min(last, at + (width - 1) * DAY_MS)), count: 0 });
  for (const { at, count } of known) {
    const bin = out[Math.floor((at - first) / (width * DAY_MS))];
    if (bin) bin.count += count;
  }
  return out;
}
