// Queries asked before, kept in this browser alone.

const PLACE = "kenshin.queries";
const QUERIES_MAX = 20;

/** The queries asked before, newest first. */
export function earlier(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(PLACE) ?? "[]");
    return Array.isArray(kept) ? kept.filter((query) => typeof query === "string").slice(0, QUERIES_MAX) : [];
  } catch {
    return [];
  }
}

/** Keeps a query that was answered. */
export function remember(query: string): void {
  if (query === "") return;
  const kept = [query, ...earlier().filter((other) => other !== query)].slice(0, QUERIES_MAX);
  try {
    localStorage.setItem(PLACE, JSON.stringify(kept));
  } catch {
    // Without a store there is no history.
  }
}

/** Forgets all of them. */
export function forget(): void {
  try {
    localStorage.removeItem(PLACE);
  } catch {
    // There is none.
  }
}
