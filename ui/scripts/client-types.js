// Writes src/api/schema.d.ts from openapi.json. The Rust tests keep openapi.json equal to what
// the server describes; test/client-types.test.ts keeps schema.d.ts equal to openapi.json.
import { readFile, writeFile } from "node:fs/promises";

import openapiTS, { astToString } from "openapi-typescript";

const root = new URL("../", import.meta.url);

export async function clientTypes() {
  const document = JSON.parse(await readFile(new URL("openapi.json", root), "utf8"));
  const head = "// Generated from openapi.json by `npm run api`. Do not edit.\n\n";
  return head + astToString(await openapiTS(document));
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  await writeFile(new URL("src/api/schema.d.ts", root), await clientTypes());
}
