// Two complete catalogues; a test compares their keys. A third language is a file beside them.

import i18next from "i18next";
import { initReactI18next } from "react-i18next";

import en from "./en.json";
import ja from "./ja.json";

export const LANGUAGES = { ja: "日本語", en: "English" } as const;
export type Language = keyof typeof LANGUAGES;

const KEPT = "kenshin-language";

function isLanguage(tag: string | null | undefined): tag is Language {
  return tag === "ja" || tag === "en";
}

/** `?lang=` of a link that was sent, else what was chosen here before, else the browser's. */
function first(): Language {
  const asked = new URLSearchParams(location.search).get("lang");
  if (isLanguage(asked)) return asked;
  const kept = localStorage.getItem(KEPT);
  if (isLanguage(kept)) return kept;
  return navigator.language.startsWith("ja") ? "ja" : "en";
}

export function hasChosenLanguage(): boolean {
  return isLanguage(localStorage.getItem(KEPT)) || new URLSearchParams(location.search).has("lang");
}

export async function startLanguages(): Promise<void> {
  i18next.on("languageChanged", (tag) => {
    document.documentElement.lang = tag;
  });
  await i18next.use(initReactI18next).init({
    resources: { en: { translation: en }, ja: { translation: ja } },
    lng: first(),
    fallbackLng: false,
    // React escapes what it renders.
    interpolation: { escapeValue: false },
    returnNull: false,
  });
}

export function chooseLanguage(tag: Language): void {
  localStorage.setItem(KEPT, tag);
  void i18next.changeLanguage(tag);
}
