// The box a query is written into: it offers fields, values and earlier queries, and points at what
// cannot be understood.

import { Button } from "@mantine/core";
import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";

import type { Failure, Schemas } from "../api/client";
import { useFacets, useFields } from "../api/queries";
import { number } from "../parts/text";
import { Said } from "../parts/values";
import { earlier, forget } from "./history";
import { quoted, wanted, type Wanted } from "./query";

/** Most offers at a time. */
const OFFERS_MAX = 10;

interface Offer {
  /** What is written. */
  text: string;
  /** What stands beside it. */
  note: string;
  /** The whole query is replaced. */
  whole: boolean;
}

function fieldOffers(fields: Schemas["FieldRow"][], prefix: string, meaning: (name: string) => string): Offer[] {
  const low = prefix.toLowerCase();
  return fields
    .filter((field) => [field.name, ...field.synonyms].some((name) => name.startsWith(low)))
    .map((field) => ({ text: `${field.name}:`, note: `${meaning(field.name)} · ${field.example}`, whole: false }));
}

/** Values of a field: those of its closed list, else the most frequent that begin so. */
function useValueOffers(query: string, at: Wanted | null, fields: Schemas["FieldRow"][]): Offer[] {
  const low = at?.field?.toLowerCase();
  const field = fields.find((one) => low !== undefined && (one.name === low || one.synonyms.includes(low)));
  const countable = field !== undefined && field.countable && field.words.length === 0 && field.kind !== "time";
  // What else the query says stays; the term that is being written is not yet one.
  const [asked, setAsked] = useState({ q: "", fields: "" });
  const rest = at && countable ? `${query.slice(0, query.lastIndexOf(" ", at.start) + 1)}${query.slice(at.end)}`.trim() : "";
  const prefix = at?.prefix ?? "";
  useEffect(() => {
    if (!countable) return;
    const narrowed = field.kind === "word" && prefix !== "" ? ` ${field.name}:${prefix}*` : "";
    const next = { q: (rest + narrowed).trim(), fields: `${field.name}:${OFFERS_MAX}` };
    const timer = setTimeout(() => setAsked(next), 200);
    return () => clearTimeout(timer);
  }, [countable, field, rest, prefix]);
  const facets = useFacets(asked.q, asked.fields, countable && asked.fields !== "");
  if (!field || !at) return [];
  if (field.words.length > 0)
    return field.words
      .filter((word) => word.startsWith(prefix.toLowerCase()))
      .map((word) => ({ text: quoted(word), note: "", whole: false }));
  const facet = countable ? facets.data?.facets.find((one) => one.field === field.name) : undefined;
  return (facet?.values ?? [])
    .filter(({ value }) => value.toLowerCase().startsWith(prefix.toLowerCase()))
    .map(({ value, count }) => ({ text: quoted(value), note: number(count), whole: false }));
}

export function QueryBox({
  value,
  failure,
  label,
  onAsk,
}: {
  /** The query that is being answered. */
  value: string;
  /** Why it is not. */
  failure: Failure | null;
  label: string;
  onAsk: (query: string) => void;
}) {
  const { t, i18n } = useTranslation();
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState(value);
  const [place, setPlace] = useState(value.length);
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  useEffect(() => setText(value), [value]);
  // Where writing goes on behind what was offered: before the next key comes.
  const caret = useRef<number | null>(null);
  useLayoutEffect(() => {
    if (caret.current === null) return;
    input.current?.focus();
    input.current?.setSelectionRange(caret.current, caret.current);
    caret.current = null;
  });

  // `/` leads here from anywhere.
  useEffect(() => {
    const jump = (event: globalThis.KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.key !== "/" || event.ctrlKey || event.metaKey || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    window.addEventListener("keydown", jump);
    return () => window.removeEventListener("keydown", jump);
  }, []);

  const fields = useFields().data?.items ?? [];
  const at = useMemo(() => (open ? wanted(text, place) : null), [open, text, place]);
  const values = useValueOffers(text, at, fields);
  const offers = useMemo((): Offer[] => {
    if (!open) return [];
    if (text.trim() === "") return earlier().map((query) => ({ text: query, note: "", whole: true }));
    if (!at) return [];
    if (at.field !== null) return values.slice(0, OFFERS_MAX);
    if (at.prefix === "") return [];
    const meaning = (name: string) => (i18n.exists(`field.${name}`) ? t(`field.${name}`) : "");
    return fieldOffers(fields, at.prefix, meaning).slice(0, OFFERS_MAX);
  }, [open, text, at, values, fields, i18n, t]);
  // A field that is written in full is no offer any more.
  const shown = offers.length === 1 && offers[0]?.text === at?.prefix ? [] : offers;
  // Below earlier queries stands that they can be forgotten: one more place to go to.
  const forgettable = shown[0]?.whole === true;
  const places = shown.length + (forgettable ? 1 : 0);

  const ask = (query: string) => {
    setOpen(false);
    setActive(-1);
    onAsk(query.trim());
  };
  const accept = (offer: Offer) => {
    setActive(-1);
    if (offer.whole) {
      setText(offer.text);
      ask(offer.text);
      return;
    }
    const [start, end] = [at?.start ?? text.length, at?.end ?? text.length];
    const behind = offer.text.endsWith(":") || text.slice(end).startsWith(" ") ? "" : " ";
    const written = text.slice(0, start) + offer.text + behind + text.slice(end);
    const next = start + offer.text.length + behind.length;
    setText(written);
    setPlace(next);
    caret.current = next;
  };
  const forgetAll = () => {
    forget();
    setOpen(false);
    setActive(-1);
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.nativeEvent.isComposing) return;
    const offer = shown[active];
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && shown.length > 0) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      setActive((active + step + places + (active < 0 && step < 0 ? 1 : 0)) % places);
    } else if (event.key === "Escape") {
      setOpen(false);
      setActive(-1);
    } else if (event.key === "Enter" && forgettable && active === shown.length) {
      event.preventDefault();
      forgetAll();
    } else if ((event.key === "Enter" || event.key === "Tab") && offer) {
      event.preventDefault();
      accept(offer);
    }
  };

  return (
    <form
      role="search"
      aria-label={label}
      className="query"
      onSubmit={(event) => {
        event.preventDefault();
        ask(text);
      }}
    >
      <label htmlFor={id} className="hidden">
        {label}
      </label>
      <div className="querybox">
        <input
          ref={input}
          id={id}
          type="text"
          role="combobox"
          aria-expanded={shown.length > 0}
          aria-controls={`${id}-offers`}
          aria-autocomplete="list"
          aria-activedescendant={active >= 0 ? `${id}-${active}` : undefined}
          aria-invalid={failure !== null}
          aria-describedby={failure ? `${id}-failure` : undefined}
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          maxLength={4096}
          value={text}
          placeholder="port:23 country:JP vendor:buffalo version:<1.99 seen:7d"
          onFocus={() => setOpen(true)}
          onBlur={() => setOpen(false)}
          onChange={(event) => {
            setText(event.currentTarget.value);
            setPlace(event.currentTarget.selectionStart ?? event.currentTarget.value.length);
            setOpen(true);
            setActive(-1);
          }}
          onSelect={(event) => setPlace(event.currentTarget.selectionStart ?? 0)}
          onKeyDown={onKeyDown}
        />
        <ul id={`${id}-offers`} role="listbox" aria-label={t("search.offers")} hidden={shown.length === 0}>
          {shown.map((offer, i) => (
            <li
              key={offer.text}
              id={`${id}-${i}`}
              role="option"
              aria-selected={i === active}
              // Before the box loses the focus.
              onPointerDown={(event) => {
                event.preventDefault();
                accept(offer);
              }}
            >
              <code>
                <Said value={offer.text} />
              </code>
              <span className="small quiet">{offer.note}</span>
            </li>
          ))}
          {forgettable && (
            <li
              id={`${id}-${shown.length}`}
              role="option"
              aria-selected={active === shown.length}
              onPointerDown={(event) => {
                event.preventDefault();
                forgetAll();
              }}
            >
              <span className="small quiet">{t("search.forget")}</span>
            </li>
          )}
        </ul>
      </div>
      <Button type="submit" size="sm">
        {t("search.ask")}
      </Button>
      {failure && (
        <div id={`${id}-failure`} className="queryfailure" role="alert">
          <pre dir="ltr">
            <Marked text={value} span={failure.span} />
          </pre>
          <p>
            {t("search.misunderstood")}: <Said value={failure.detail ?? failure.message} />
            {failure.hint && (
              <>
                {" – "}
                <Said value={failure.hint} />
              </>
            )}
          </p>
        </div>
      )}
    </form>
  );
}

/** A query with the part that cannot be understood marked. */
function Marked({ text, span }: { text: string; span: readonly [number, number] | null }) {
  if (!span) return <Said value={text} />;
  const [start, end] = span;
  return (
    <>
      <Said value={text.slice(0, start)} />
      <mark>
        <Said value={text.slice(start, end) || "\u00a0"} />
      </mark>
      <Said value={text.slice(end)} />
    </>
  );
}
