// Filters of a list. They live in the URL, so that a view can be sent to a colleague.

import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";

/** Reads and writes one filter; a new filter begins at the first page. */
export function useFilter(name: string): [string, (value: string) => void] {
  const [params, setParams] = useSearchParams();
  const set = (value: string) =>
    setParams(
      (before) => {
        const next = new URLSearchParams(before);
        if (value) next.set(name, value);
        else next.delete(name);
        next.delete("after");
        return next;
      },
      { replace: true },
    );
  return [params.get(name) ?? "", set];
}

/** The parameters of the URL that the API takes, as they are. */
export function useFilters(names: readonly string[]): Record<string, string> {
  const [params] = useSearchParams();
  const out: Record<string, string> = {};
  for (const name of names) {
    const value = params.get(name);
    if (value) out[name] = value;
  }
  return out;
}

export function Choice({
  name,
  label,
  options,
  unset,
}: {
  name: string;
  label: string;
  options: { value: string; text: string }[];
  /** What holds while nothing is chosen; left out, everything is shown. */
  unset?: string;
}) {
  const { t } = useTranslation();
  const [value, set] = useFilter(name);
  return (
    <label data-set={value !== ""}>
      {label}
      <select value={value} onChange={(event) => set(event.currentTarget.value)}>
        <option value="">{unset ?? t("common.all")}</option>
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.text}
          </option>
        ))}
      </select>
    </label>
  );
}

/** A choice among a closed list of words. */
export function WordChoice({
  name,
  label,
  list,
  words,
  unset,
}: {
  name: string;
  label: string;
  list: string;
  words: readonly string[];
  unset?: string;
}) {
  const { t } = useTranslation();
  const options = words.map((word) => ({ value: word, text: t(`${list}.${word}`) }));
  return <Choice name={name} label={label} options={options} unset={unset} />;
}

/** Free text, applied when the typing pauses. */
export function Search({ name = "q" }: { name?: string }) {
  const { t } = useTranslation();
  const [value, set] = useFilter(name);
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text.trim() === value) return;
    const timer = setTimeout(() => set(text.trim()), 350);
    return () => clearTimeout(timer);
  });
  return (
    <label data-set={value !== ""}>
      {t("common.search")}
      <input
        type="search"
        value={text}
        maxLength={100}
        placeholder={t("common.searchHint")}
        onChange={(event) => setText(event.currentTarget.value)}
      />
    </label>
  );
}

export function ClearFilters() {
  const { t } = useTranslation();
  const [params, setParams] = useSearchParams();
  if (![...params.keys()].some((name) => name !== "after" && name !== "lang")) return null;
  return (
    <button type="button" className="link small" onClick={() => setParams({}, { replace: true })}>
      {t("common.clearFilters")}
    </button>
  );
}
