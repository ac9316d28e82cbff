// Draws the maps of the explorer, once, into files that the interface shows as they are:
//
//   node scripts/maps.js world > src/explore/world.json
//   node scripts/maps.js japan prefectures.geojson prefectures.csv > src/explore/japan.json
//
// The world is `world-atlas` (Natural Earth, 1:110 million); prefectures are those of
// smartnews-smri/japan-topography (from data of the Ministry of Land, Infrastructure, Transport and
// Tourism of Japan), with a table of their numbers and names.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import countries from "i18n-iso-countries";
import { feature } from "topojson-client";

const require = createRequire(import.meta.url);

/** Equal Earth (Šavrič, Patterson and Jenny 2018): areas are true to each other. Degrees to unit lengths. */
function equalEarth([longitude, latitude]) {
  const [a1, a2, a3, a4] = [1.340264, -0.081106, 0.000893, 0.003796];
  const m = Math.sqrt(3) / 2;
  const theta = Math.asin(m * Math.sin((latitude * Math.PI) / 180));
  const [t2, t6] = [theta ** 2, theta ** 6];
  const x = ((longitude * Math.PI) / 180) * Math.cos(theta);
  return [x / (m * (a1 + 3 * a2 * t2 + t6 * (7 * a3 + 9 * a4 * t2))), -theta * (a1 + a2 * t2 + t6 * (a3 + a4 * t2))];
}

/** Plate carrée, true at the latitude of Tokyo. */
function tokyo([longitude, latitude]) {
  return [((longitude * Math.PI) / 180) * Math.cos((35.7 * Math.PI) / 180), (-latitude * Math.PI) / 180];
}

function rings(geometry) {
  const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  return polygons.map((polygon) => polygon[0]);
}

function area(ring) {
  return Math.abs(
    ring.reduce((sum, [x, y], i) => {
      const [u, v] = ring[(i + 1) % ring.length];
      return sum + x * v - u * y;
    }, 0) / 2,
  );
}

/** Places with their rings, scaled to a width; what is smaller than `least` square pixels is left out, unless it is all there is. */
function draw(places, width, least) {
  const points = places.flatMap((place) => place.rings.flat());
  const [left, top] = [Math.min(...points.map(([x]) => x)), Math.min(...points.map(([, y]) => y))];
  const [right, bottom] = [Math.max(...points.map(([x]) => x)), Math.max(...points.map(([, y]) => y))];
  const scale = width / (right - left);
  const round = (value) => Math.round(value * 10) / 10;
  const drawn = places.map(({ rings, ...place }) => {
    const scaled = rings
      .map((ring) => ring.map(([x, y]) => [round((x - left) * scale), round((y - top) * scale)]))
      .map((ring) => ring.filter(([x, y], i) => i === 0 || Math.hypot(x - ring[i - 1][0], y - ring[i - 1][1]) >= 0.3))
      .sort((a, b) => area(b) - area(a))
      .filter((ring, i) => ring.length > 2 && (i === 0 || area(ring) >= least));
    return { ...place, d: scaled.map((ring) => `M${ring.map((at) => at.join(",")).join("L")}Z`).join("") };
  });
  return { width, height: Math.ceil((bottom - top) * scale), places: drawn };
}

function world() {
  const atlas = JSON.parse(readFileSync(require.resolve("world-atlas/countries-110m.json"), "utf8"));
  const places = feature(atlas, atlas.objects.countries)
    .features.filter((country) => country.properties.name !== "Antarctica")
    // Countries without a number in ISO 3166 are drawn, and have no code.
    .map((country) => ({
      code: (country.id && countries.numericToAlpha2(country.id)) ?? "",
      rings: rings(country.geometry).map((ring) => ring.map(equalEarth)),
    }));
  return { credit: "Natural Earth", ...draw(places, 720, 1) };
}

function japan(map, table) {
  const rows = readFileSync(table, "utf8").trim().split(/\r?\n/).slice(1);
  const numbers = new Map(rows.map((row) => row.split(",")).map(([id, ja]) => [ja, Number(id)]));
  const places = JSON.parse(readFileSync(map, "utf8")).features.map((prefecture) => {
    const id = numbers.get(prefecture.properties.N03_001);
    const projected = rings(prefecture.geometry)
      // Ogasawara lies a thousand kilometres south of Tokyo, and is not drawn.
      .filter((ring) => id !== 13 || ring[0][1] > 32)
      // Okinawa is drawn above Kyushu, where there is sea.
      .map((ring) => ring.map(([x, y]) => (id === 47 ? tokyo([x + 4.5, y + 13.5]) : tokyo([x, y]))));
    return { code: `JP-${String(id).padStart(2, "0")}`, rings: projected };
  });
  places.sort((a, b) => a.code.localeCompare(b.code));
  const credit = "smartnews-smri/japan-topography, MLIT (国土数値情報)";
  return { credit, ...draw(places, 480, 1.2) };
}

const [what, ...files] = process.argv.slice(2);
if (what !== "world" && (what !== "japan" || files.length !== 2)) {
  console.error("usage: node scripts/maps.js world | japan PREFECTURES.geojson PREFECTURES.csv");
  process.exit(2);
}
console.log(JSON.stringify(what === "world" ? world() : japan(...files)));
