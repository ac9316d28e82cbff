// What was known on a day: a day in the address of a view, and a word about it where it holds.

import { useTranslation } from "react-i18next";

import { Icon } from "../parts/Icon";
import { Said } from "../parts/values";

function isDay(text: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(text);
}

/** A field for a day; empty means today. */
export function DayChoice({ label, value, onChange }: { label: string; value: string; onChange: (day: string) => void }) {
  return (
    <label className="small quiet">
      {label} <input type="date" value={isDay(value) ? value : ""} onChange={(event) => onChange(event.currentTarget.value)} />
    </label>
  );
}

/** Says that what is shown was known by the end of a day, and leads back to today. */
export function KnownBy({ at, text, onToday }: { at: string; text: string; onToday: () => void }) {
  const { t } = useTranslation();
  return (
    <div className="notice" role="note" data-known={isDay(at) ? at : ""} style={{ marginBottom: "1rem" }}>
      <Icon name="info" />
      <span>
        <b>
          <Said value={t("known.by", { day: at })} />
        </b>{" "}
        {text}{" "}
        <button type="button" className="link" onClick={onToday}>
          {t("known.today")}
        </button>
      </span>
    </div>
  );
}
