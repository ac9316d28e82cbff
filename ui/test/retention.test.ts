import { expect, it } from "vitest";

import { keptFor, proofs, rules } from "../src/parts/retention";

it("what nothing is said of is kept for ever", () => {
  const told = rules({
    policy: { observations: "24 months", "blobs/page": "6 months", "blobs/other": "1 year" },
    mandates: { "national-2026": { observations: "forever", "blobs/page": "1 month" } },
  }).map(({ table, kind, mandate, keep, follows }) => [kind ? `${table}/${kind}` : table, mandate ?? "*", follows ? "with" : keep].join(" "));
  expect(told).toEqual([
    "observations * 24 months",
    "coverage * forever",
    "blobs/banner * forever",
    "blobs/page * 6 months",
    "blobs/certificate * forever",
    "blobs/other * 1 year",
    "observations national-2026 forever",
    "blobs/page national-2026 1 month",
    "salts * with",
    "batches * forever",
    "erasures * forever",
  ]);
});

it.each([
  ["forever", { unit: "forever", count: 0 }],
  ["1 month", { unit: "months", count: 1 }],
  ["24 months", { unit: "months", count: 24 }],
  ["2 years", { unit: "years", count: 2 }],
  ["soon", null],
])("%s", (text, kept) => expect(keptFor(text)).toEqual(kept));

it("statements are read as far as they go", () => {
  const signed = (statement: string) => ({ statement, sha256: "ab", sensor_id: "s", public_key: "k", signature: "x" });
  const [good, bad, other] = proofs([
    signed(
      '{"number":3,"table":"blobs","class":"page","month":"2026-04","mandate_id":"m","rows":7,"batches":2,"files":[{},{}],"asked_by":"rule:retention","erased_at":1790000000000000}',
    ),
    signed("{"),
    signed('["number"]'),
  ]);
  expect(good).toMatchObject({ number: 3, table: "blobs", kind: "page", month: "2026-04", rows: 7, files: 2, erased: "2026-09-21T14:13:20.000Z" });
  for (const one of [bad, other]) expect(one).toMatchObject({ number: null, table: "?", rows: 0, erased: null });
});
