// Names of values that are codes: countries and prefectures.

import { useCallback } from "react";
import { useTranslation } from "react-i18next";

import prefectures from "./prefectures.json";

/** Gives the name of a value of a field in the reader's language; values without one name themselves. */
export function useValueName(field: string): (value: string) => string {
  const { i18n } = useTranslation();
  const language = i18n.language === "ja" ? "ja" : "en";
  return useCallback(
    (value: string) => {
      if (field === "country" && /^[A-Z]{2}$/.test(value)) {
        const name = new Intl.DisplayNames([language], { type: "region" }).of(value);
        return name && name !== value ? `${name} (${value})` : value;
      }
      const prefecture = field === "region" ? (prefectures as Record<string, { en: string; ja: string }>)[value] : undefined;
      return prefecture ? prefecture[language] : value;
    },
    [field, language],
  );
}
