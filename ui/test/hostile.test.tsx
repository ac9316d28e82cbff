import i18next from "i18next";
import { renderToStaticMarkup } from "react-dom/server";
import { I18nextProvider, initReactI18next } from "react-i18next";
import { beforeAll, expect, it } from "vitest";

import en from "../src/i18n/en.json";
import { Bytes, Said } from "../src/parts/values";

beforeAll(async () => {
  await i18next.use(initReactI18next).init({ lng: "en", resources: { en: { translation: en } } });
});

const html = (element: React.ReactElement) =>
  renderToStaticMarkup(<I18nextProvider i18n={i18next}>{element}</I18nextProvider>);

it("a banner stays text", () => {
  const shown = html(<Bytes value={'<script>alert("1")</script>\u001b]0;x\u0007\u202e'} />);
  expect(shown).not.toContain("<script>");
  expect(shown).toContain("&lt;script&gt;");
  expect(shown).toContain("\\x1b");
  expect(shown).toContain("\\u202e");
  expect(shown).not.toContain("\u202e");
});

it("a product name stays text", () => {
  expect(html(<Said value={'TR-1200"><img src=x onerror=alert(1)>'} />)).not.toContain("<img");
});
