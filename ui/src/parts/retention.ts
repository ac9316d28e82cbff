// What is kept for how long, and what was erased, made into rows. Pure; tested in test/retention.test.ts.

import type { Schemas } from "../api/client";

/** For how long one thing is kept. */
export interface Rule {
  table: string;
  /** Class, of blobs. */
  kind: string | null;
  /** Null: every mandate for which nothing else is said. */
  mandate: string | null;
  /** As the policy says it. */
  keep: string;
  /** Kept as long as its observations are. */
  follows: boolean;
}

/** What lies in the lake, in the order in which it is shown. */
const KINDS = ["observations", "coverage", "blobs/banner", "blobs/page", "blobs/certificate"];

function parted(name: string): { table: string; kind: string | null } {
  const [table = "", kind] = name.split("/", 2);
  return { table, kind: kind ?? null };
}

/** Every rule: what nothing is said of is kept for ever. */
export function rules(view: Pick<Schemas["RetentionView"], "policy" | "mandates">): Rule[] {
  const names = [...KINDS, ...Object.keys(view.policy).filter((name) => !KINDS.includes(name)).sort()];
  const general = names.map((name) => ({ ...parted(name), mandate: null, keep: view.policy[name] ?? "forever", follows: false }));
  const special = Object.entries(view.mandates).flatMap(([mandate, policy]) =>
    Object.entries(policy).map(([name, keep]) => ({ ...parted(name), mandate, keep, follows: false })),
  );
  const fixed = [
    { table: "salts", kind: null, mandate: null, keep: "", follows: true },
    { table: "batches", kind: null, mandate: null, keep: "forever", follows: false },
    { table: "erasures", kind: null, mandate: null, keep: "forever", follows: false },
  ];
  return [...general, ...special, ...fixed];
}

/** `24 months`, `2 years`, `forever`; null for what is none of these. */
export function keptFor(keep: string): { unit: "months" | "years" | "forever"; count: number } | null {
  if (keep === "forever") return { unit: "forever", count: 0 };
  const [, count, unit] = /^(\d+) (month|year)s?$/.exec(keep) ?? [];
  if (!count || !unit) return null;
  return { unit: unit === "month" ? "months" : "years", count: Number(count) };
}

/** A proof of deletion, with what its statement says. */
export interface Proof {
  number: number | null;
  table: string;
  kind: string | null;
  month: string | null;
  mandate: string | null;
  rows: number;
  batches: number;
  /** Batches of which what stands for the rows does not lead to the signed root. */
  unproven: number;
  files: number;
  asked: string;
  /** RFC 3339. */
  removed: string | null;
  erased: string | null;
  sha256: string;
  signed: Schemas["ProofRow"];
}

/** Statements are read leniently: the signed text is shown beside whatever they say. */
export function proofs(signed: Schemas["ProofRow"][]): Proof[] {
  return signed.map((one) => {
    let said: Record<string, unknown> = {};
    try {
      const parsed: unknown = JSON.parse(one.statement);
      if (typeof parsed === "object" && parsed !== null) said = parsed as Record<string, unknown>;
    } catch {
      // The text is there to be looked at.
    }
    const text = (name: string) => (typeof said[name] === "string" ? said[name] : null);
    const count = (name: string) => (typeof said[name] === "number" ? said[name] : 0);
    return {
      number: typeof said["number"] === "number" ? said["number"] : null,
      table: text("table") ?? "?",
      kind: text("class"),
      month: text("month"),
      mandate: text("mandate_id"),
      rows: count("rows"),
      batches: count("batches"),
      unproven: count("unproven"),
      files: Array.isArray(said["files"]) ? said["files"].length : 0,
      asked: text("asked_by") ?? "–",
      removed: instant(said["removed_at"]),
      erased: instant(said["erased_at"]),
      sha256: one.sha256,
      signed: one,
    };
  });
}

/** Microseconds since 1970, or a text, as RFC 3339. */
function instant(value: unknown): string | null {
  const at = typeof value === "number" ? new Date(value / 1000) : typeof value === "string" ? new Date(value) : null;
  return at === null || Number.isNaN(at.getTime()) ? null : at.toISOString();
}
