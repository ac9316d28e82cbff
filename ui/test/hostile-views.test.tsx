// Every view of the explorer over services that say nothing but hostile text of themselves.

import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import i18next from "i18next";
import type { ReactElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { I18nextProvider, initReactI18next } from "react-i18next";
import { MemoryRouter, Outlet, Route, Routes } from "react-router";
import { beforeAll, describe, expect, it } from "vitest";

import en from "../src/i18n/en.json";
import document from "../openapi.json";
import { ComparePage } from "../src/pages/Compare";
import { HostPage } from "../src/pages/Host";
import { RetentionPage } from "../src/pages/Retention";
import { SearchPage } from "../src/pages/Search";
import { SqlPage } from "../src/pages/Sql";

const HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e\u0007\u001b[2J\u0000\n=cmd|' /C calc'!A0";

beforeAll(async () => {
  await i18next.use(initReactI18next).init({
    lng: "en",
    resources: { en: { translation: en } },
    interpolation: { escapeValue: false },
  });
});

type Schema = {
  type?: string | string[];
  $ref?: string;
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema;
  oneOf?: Schema[];
  format?: string;
  enum?: string[];
};

/** What the server writes by itself: an address that it read, a word of its own. */
const OURS: Record<string, string> = { addr: "192.0.2.7", attribute: "vendor" };

/** A value of a schema in which every text is hostile. */
function hostile(schema: Schema): unknown {
  if (schema.$ref) return hostile((document.components.schemas as Record<string, Schema>)[schema.$ref.split("/").at(-1) ?? ""] ?? {});
  if (schema.oneOf) return hostile(schema.oneOf.at(-1) ?? {});
  const type = [schema.type ?? "string"].flat()[0];
  if (type === "object")
    return Object.fromEntries([
      ...Object.entries(schema.properties ?? {}).map(([name, inner]) => [name, OURS[name] ?? hostile(inner)]),
      ...(schema.additionalProperties ? [[HOSTILE, hostile(schema.additionalProperties)]] : []),
    ]);
  if (type === "array") return [hostile(schema.items ?? {})];
  if (type === "integer" || type === "number") return 7;
  if (type === "boolean") return true;
  if (schema.format === "date-time") return "2026-10-01T00:00:00Z";
  return schema.enum?.[0] ?? HOSTILE;
}

const of = (name: string) => hostile({ $ref: `#/${name}` });

function shown(page: ReactElement, path: string, at: string, answers: [unknown[], unknown][]): string {
  const client = new QueryClient();
  for (const [key, answer] of answers) client.setQueryData(key, answer);
  const me = { name: HOSTILE, actions: ["search", "see-probes", "save-searches", "see-surveys"] };
  return renderToStaticMarkup(
    <MantineProvider>
      <I18nextProvider i18n={i18next}>
        <QueryClientProvider client={client}>
          <MemoryRouter initialEntries={[at]}>
            <Routes>
              <Route element={<Outlet context={me} />}>
                <Route path={path} element={page} />
              </Route>
            </Routes>
          </MemoryRouter>
        </QueryClientProvider>
      </I18nextProvider>
    </MantineProvider>,
  );
}

function harmless(html: string, said: number) {
  for (const raw of ["<script>", "<img", "onerror=alert(1)>", "\u202e", "\u0007", "\u001b", "\u0000"]) {
    const at = html.indexOf(raw);
    // What stands around it tells where it came from.
    expect(at < 0 ? "" : html.slice(Math.max(0, at - 160), at + 20)).toBe("");
  }
  // It is there, as text, where it was to be shown.
  expect(html.split("&lt;script&gt;").length).toBeGreaterThan(said);
}

const q = encodeURIComponent(`"${HOSTILE}"`);
const facets = { total: { services: 7, hosts: 7 }, facets: [{ field: "product", values: [{ value: HOSTILE, count: 7 }], more: 0 }] };

describe("hostile text stays text", () => {
  it("in what is found", () => {
    const by = "protocol:8,port:8,product:8,type:8,provider:8,country:8,tls:8,label:8";
    const html = shown(<SearchPage />, "/search", "/search?at=2026-10-01", [
      [["search", { q: "", at: "2026-10-01" }], of("SearchPage")],
      [["facets", "", by, "2026-10-01"], facets],
      [["facets", "", "first:1000", "2026-10-01"], facets],
      [["facets", "", "country:300", "2026-10-01"], { ...facets, facets: [{ ...facets.facets[0], field: "country" }] }],
    ]);
    harmless(html, 8);
    expect(html).toContain("As known by the end of 2026-10-01");
  });

  it("in a query that cannot be understood, and in a day", () => {
    harmless(shown(<SearchPage />, "/search", `/search?at=${q}`, [[["search", { q: "", at: `"${HOSTILE}"` }], of("SearchPage")]]), 1);
  });

  it("on the page of a host", () => {
    const html = shown(<HostPage />, "/hosts/:addr", "/hosts/192.0.2.7", [
      [["host", "192.0.2.7", ""], of("HostDetail")],
      [["probes", "192.0.2.7"], of("ProbeList")],
    ]);
    harmless(html, 15);
  });

  it("on the page of a host that there is not", () =>
    harmless(shown(<HostPage />, "/hosts/:addr", `/hosts/${encodeURIComponent(HOSTILE)}`, []), 0));

  it("in two queries side by side", () => {
    const html = shown(<ComparePage />, "/compare", `/compare?at-a=${q}`, [
      [["facets", "", "product:200", `"${HOSTILE}"`], facets],
      [["facets", "", "product:200", ""], facets],
    ]);
    harmless(html, 2);
  });

  it("in an answer to SQL", () => {
    const answer = { columns: [{ name: HOSTILE, kind: "Utf8" }], rows: [{ [HOSTILE]: HOSTILE }] };
    harmless(shown(<SqlPage />, "/sql", "/sql?sql=SELECT", [[["sql", "SELECT"], answer]]), 2);
  });

  it("in what is kept and what was erased", () => harmless(shown(<RetentionPage />, "/retention", "/retention", [[["retention"], of("RetentionView")]]), 8));
});
