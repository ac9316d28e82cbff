import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";

import prefectures from "../src/explore/prefectures.json";

const file = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));

describe("maps", () => {
  it("are what the script draws", () =>
    expect(execFileSync("node", [file("scripts/maps.js"), "world"], { encoding: "utf8" })).toBe(
      readFileSync(file("src/explore/world.json"), "utf8"),
    ));

  it("have every prefecture once, each with its name", () => {
    const japan = JSON.parse(readFileSync(file("src/explore/japan.json"), "utf8")) as { places: { code: string }[] };
    expect(japan.places.map(({ code }) => code)).toEqual(Object.keys(prefectures));
    expect(japan.places).toHaveLength(47);
  });
});
