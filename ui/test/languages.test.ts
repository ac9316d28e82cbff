import { readdirSync, readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import en from "../src/i18n/en.json";
import ja from "../src/i18n/ja.json";
import document from "../openapi.json";

type Catalogue = { [key: string]: string | Catalogue };

function flat(catalogue: Catalogue, prefix = ""): Map<string, string> {
  const out = new Map<string, string>();
  for (const [key, value] of Object.entries(catalogue)) {
    if (typeof value === "string") out.set(prefix + key, value);
    else for (const [inner, text] of flat(value, `${prefix}${key}.`)) out.set(inner, text);
  }
  return out;
}

const catalogues = { en: flat(en), ja: flat(ja) };

describe("languages", () => {
  it("have the same keys", () =>
    expect([...catalogues.ja.keys()].sort()).toEqual([...catalogues.en.keys()].sort()));

  it("take the same arguments", () => {
    const names = (text: string) => [...text.matchAll(/{{(\w+)}}/g)].map((match) => match[1]).sort();
    for (const [key, text] of catalogues.en) expect(names(catalogues.ja.get(key) ?? ""), key).toEqual(names(text));
  });

  it("leave nothing empty or untranslated", () => {
    for (const [key, text] of catalogues.ja) {
      expect(text.trim(), key).not.toBe("");
      expect(catalogues.en.get(key)?.trim(), key).not.toBe("");
    }
    const same = [...catalogues.ja].filter(([key, text]) => catalogues.en.get(key) === text).map(([key]) => key);
    expect(same.sort()).toEqual(["attribute.cpe", "notices.messageId"]);
  });

  it("have every key that the sources name", () => {
    const sources = readdirSync(new URL("../src", import.meta.url), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".tsx"))
      .map((name) => readFileSync(new URL(`../src/${name}`, import.meta.url), "utf8"));
    const missing = sources
      .flatMap((source) => [...source.matchAll(/\bt\(\s*"([\w.-]+)"/g)].map((match) => match[1] ?? ""))
      .filter((key) => !catalogues.en.has(key) && !catalogues.en.has(`${key}_other`));
    expect(missing).toEqual([]);
  });

  it("have every word of the API's closed lists", () => {
    const lists: [string, string, string][] = [
      ["FindingRow", "kind", "kind"],
      ["FindingRow", "severity", "severity"],
      ["FindingRow", "remedy", "remedy"],
      ["FindingRow", "state", "findingState"],
      ["CaseRow", "stage", "stage"],
      ["CaseRow", "condition", "condition"],
      ["CaseRow", "condition", "conditionMeaning"],
      ["CaseRow", "close_reason", "reason"],
      ["NoticeRow", "state", "noticeState"],
      ["NoticeRow", "protection", "protection"],
      ["SurveyRow", "state", "surveyState"],
      ["SurveyRow", "kind", "surveyKind"],
      ["SavedSearchRow", "on", "watch"],
      ["SavedSearchRow", "on", "watchMeaning"],
      ["SavedSearchRow", "trouble", "trouble"],
      ["AlertRow", "turn", "turn"],
      ["AlertDeliveryRow", "channel", "channel"],
      ["AlertDeliveryRow", "state", "noticeState"],
      ["LookRow", "outcome", "look"],
      ["Me", "role", "role"],
    ];
    const schemas = document.components.schemas as unknown as Record<
      string,
      { properties: Record<string, { enum?: string[] }> }
    >;
    for (const [schema, property, list] of lists) {
      const words = schemas[schema]?.properties[property]?.enum ?? [];
      expect(words.length, `${schema}.${property}`).toBeGreaterThan(0);
      for (const word of words) expect(catalogues.en.has(`${list}.${word}`), `${list}.${word}`).toBe(true);
    }
  });
});
