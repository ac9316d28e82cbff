// A map whose places are coloured by a count; a click filters. Fetched when a map is first shown.

import { useTranslation } from "react-i18next";

import { number } from "../parts/text";
import japan from "./japan.json";
import world from "./world.json";

const MAPS = { world, japan };
export type MapName = keyof typeof MAPS;

/** Shades, from few to many. */
const SHADES = 5;

/** The shade of a count: each is the same factor above the one before. */
function shade(count: number, most: number): number {
  if (count === 0) return 0;
  if (most <= 1) return SHADES;
  return 1 + Math.min(SHADES - 1, Math.floor((Math.log(count) / Math.log(most)) * (SHADES - 1) + 1e-9));
}

/** Least count of a shade. */
function least(step: number, most: number): number {
  return most <= 1 ? 1 : Math.ceil(most ** ((step - 1) / (SHADES - 1)) - 1e-9);
}

export default function PlaceMap({
  map,
  counts,
  nameOf,
  label,
  onPick,
}: {
  map: MapName;
  counts: Map<string, number>;
  nameOf: (code: string) => string;
  label: string;
  onPick: (code: string) => void;
}) {
  const { t } = useTranslation();
  const { width, height, places, credit } = MAPS[map];
  const most = Math.max(0, ...counts.values());
  const drawn = new Set(places.map((place) => place.code));
  const missing = [...counts].filter(([code, count]) => count > 0 && !drawn.has(code));
  const steps = [...new Set(Array.from({ length: SHADES }, (_, i) => least(i + 1, most)))];
  return (
    <div className="placemap" data-map={map}>
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
        {places.map((place, i) => {
          const count = counts.get(place.code) ?? 0;
          return (
            <path
              key={place.code || i}
              d={place.d}
              data-shade={shade(count, most)}
              onClick={count > 0 ? () => onPick(place.code) : undefined}
            >
              {place.code && <title>{`${nameOf(place.code)}: ${number(count)}`}</title>}
            </path>
          );
        })}
      </svg>
      <div className="legend">
        {most > 0 &&
          steps.map((from) => (
            <span key={from}>
              <i className="key" data-shade={shade(from, most)} /> ≥ {number(from)}
            </span>
          ))}
        {missing.length > 0 && <span>{t("search.notDrawn", { places: missing.map(([code]) => nameOf(code)).join(", ") })}</span>}
        <span className="faint">
          {t("search.mapCredit")}: {credit}
        </span>
      </div>
    </div>
  );
}
