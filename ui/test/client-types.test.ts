import { readFileSync } from "node:fs";

import { expect, it } from "vitest";

import { clientTypes } from "../scripts/client-types.js";

it("the client's types are those of the API's description (`npm run api` writes them)", async () => {
  const kept = readFileSync(new URL("../src/api/schema.d.ts", import.meta.url), "utf8");
  expect(await clientTypes()).toBe(kept);
});
