// Drives the interface in Chromium against a running `kenshin serve` or `kenshin demo`:
//
//   npm run e2e -- --base http://127.0.0.1:8480 --login admin --password … --guest-password … [--shots DIR]
//
// Signs in, follows a finding to its case and its notice, switches the language, looks at every
// page in both appearances, and keeps pictures. Then the account `guest`, which is limited to a mandate, signs
// in for the first time (`kenshin user add guest --role analyst --mandate town-demo` prints its password). Any script error, refused style, missing text or
// serious hindrance that axe-core finds fails it.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { chromium } from "playwright-core";

const { values: options } = parseArgs({
  options: {
    base: { type: "string", default: "http://127.0.0.1:8480" },
    login: { type: "string", default: "admin" },
    password: { type: "string" },
    "guest-password": { type: "string" },
    shots: { type: "string", default: fileURLToPath(new URL("../../test-output/browser/", import.meta.url)) },
    chromium: { type: "string", default: process.env["CHROMIUM"] ?? "/usr/bin/chromium" },
  },
});
if (!options.password || !options["guest-password"]) {
  console.error(
    "--password and --guest-password are needed; hint: `kenshin demo` and `kenshin user add guest` print them once",
  );
  process.exit(2);
}
mkdirSync(options.shots, { recursive: true });

const FLAGS = [
  "--no-sandbox",
  "--headless",
  "--disable-gpu",
  "--disable-quic",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A day on which the town's first round was known, and no other. */
const THEN = "2026-04-05";

const troubles = [];
let step = "start";
let picture = 0;

function check(truth, what) {
  if (!truth) throw new Error(what);
}

/** Waits for an element and gives it; says which one was missing. */
async function find(page, selector) {
  const found = page.locator(selector).first();
  await found.waitFor({ state: "visible", timeout: 15_000 });
  return found;
}

async function settled(page) {
  // No skeleton is left, no list is being fetched, and what the explorer shows answers the address.
  await page.waitForFunction(
    () => {
      const answered = document.querySelector(".explore")?.dataset.query;
      const asked = new URLSearchParams(location.search).get("q") ?? "";
      return (
        !document.querySelector(".skeleton") &&
        !document.querySelector('[aria-busy="true"]') &&
        (answered === undefined || answered === asked)
      );
    },
    undefined,
    { timeout: 15_000 },
  );
}

/** What hinders people who cannot see, hear or point well. */
async function hindrances(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id} at ${nodes.map(({ target }) => target.join(" ")).slice(0, 3).join(", ")}`);
}

async function keep(page, name) {
  await settled(page);
  for (const hindrance of await hindrances(page)) troubles.push(`${name}: ${hindrance}`);
  picture += 1;
  const path = `${options.shots}/${String(picture).padStart(2, "0")}-${name}.png`;
  await page.screenshot({ path, fullPage: true });
}

async function act(name, work) {
  step = name;
  await work();
  console.error(`ok ${name}`);
}

// A profile of its own, gone with the browser.
const browser = await chromium.launch({ executablePath: options.chromium, args: FLAGS });
let failed = null;
try {
  const context = await browser.newContext({
    viewport: { width: 1360, height: 860 },
    locale: "en-GB",
    timezoneId: "Asia/Tokyo",
    colorScheme: "light",
  });
  const page = await context.newPage();
  page.on("console", (message) => {
    // What is refused because it is asked for wrongly, below, is no trouble.
    const refused = { "a wrong password": "401", "who signs in for the first time chooses a password": "401",
      "an account limited to a mandate searches, and no more": "403", "what cannot be understood is pointed at": "400", "a question in SQL": "400", "what was known on a day": "400",
      "a query is saved by keyboard, and its secret is shown once": "400" }[step];
    if (message.type() === "error" && !(refused && message.text().includes(refused)))
      troubles.push(`${step}: ${message.text()}`);
  });
  page.on("pageerror", (error) => troubles.push(`${step}: ${error.message}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(options.base) && !request.url().startsWith("data:"))
      troubles.push(`${step}: asks another host: ${request.url()}`);
  });

  await act("the public page needs no sign-in", async () => {
    await page.goto(`${options.base}/health?lang=en`);
    await find(page, "h1:has-text('Public health')");
    await keep(page, "health");
  });

  await act("a wrong password", async () => {
    await page.goto(`${options.base}/findings?lang=en`);
    await find(page, "h1:has-text('Sign in')");
    await page.fill("input[name=login]", options.login);
    await page.fill("input[name=password]", "not the password");
    await page.keyboard.press("Enter");
    await find(page, "[role=alert]:has-text('wrong')");
    await keep(page, "sign-in-refused");
  });

  await act("sign in, and back to where one wanted to go", async () => {
    await page.fill("input[name=password]", options.password);
    await page.keyboard.press("Enter");
    await find(page, "h1:has-text('Findings')");
    check(new URL(page.url()).pathname === "/findings", "the way back was kept");
  });

  await act("overview", async () => {
    await page.click("nav a:has-text('Overview')");
    await find(page, ".circle .value");
    await find(page, "figure svg");
    await keep(page, "overview");
    for (const button of await page.locator("figure button").all()) await button.click();
    check(page.url().includes("table="), "which tables are open is in the address");
    await keep(page, "overview-tables");
  });

  await act("findings, filtered by the address", async () => {
    await page.click("nav a:has-text('Findings')");
    await find(page, "table.rows tbody tr");
    await keep(page, "findings");
    await page.selectOption(".filters label:has-text('State') select", "present");
    await page.waitForURL(/state=present/);
    await settled(page);
    await page.reload();
    await find(page, "table.rows tbody tr");
    check((await page.inputValue(".filters label:has-text('State') select")) === "present", "the filter survives");
  });

  await act("a query is written with what is offered", async () => {
    await page.click("nav a:has-text('Search')");
    await find(page, "[aria-label='Protocol'] .bar");
    await keep(page, "search");
    await page.keyboard.press("/");
    await page.keyboard.type("proto");
    await find(page, "[role=option]:has-text('protocol:')");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.keyboard.type("tel");
    await find(page, "[role=option]:has-text('telnet')");
    await keep(page, "search-offers");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    await page.waitForURL(/q=protocol/);
    await settled(page);
    check((await page.inputValue("[role=combobox]")).trim() === "protocol:telnet", "the query is the one written");
    check(new URL(page.url()).searchParams.get("q") === "protocol:telnet", "and it is in the address");
  });

  const services = async () => Number(((await page.textContent(".totals b")) ?? "").replace(/\D/g, ""));
  await act("a bar narrows and widens", async () => {
    const all = await services();
    const bar = page.locator("[aria-label='Provider'] .bar").first();
    const few = Number(((await bar.locator(".count").textContent()) ?? "").replace(/\D/g, ""));
    await bar.click();
    await find(page, "[aria-label='Provider'] .bar[aria-pressed=true]");
    await settled(page);
    check((await services()) === few && few < all, "what is found is what the bar counts");
    await page.reload();
    await find(page, "[aria-label='Provider'] .bar[aria-pressed=true]");
    await page.locator("[aria-label='Provider'] .bar").first().click();
    await page.locator("[aria-label='Provider'] .bar[aria-pressed=true]").waitFor({ state: "detached" });
    await settled(page);
    check((await services()) === all, "and all are back");
  });

  await act("days and places narrow", async () => {
    const all = await services();
    const days = await find(page, ".timeline svg");
    await days.scrollIntoViewIfNeeded();
    const box = await days.boundingBox();
    check(box, "the time line has a place");
    await page.mouse.move(box.x + 2, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 3, box.y + 20);
    await page.mouse.up();
    await page.waitForURL(/first/);
    await settled(page);
    check((await services()) <= all, "no more than before");
    await page.goBack();
    await settled(page);
    // The middle of Japan is sea.
    await (await find(page, ".placemap path[data-shade='5']")).dispatchEvent("click");
    await page.waitForURL(/country/);
    await settled(page);
    await page.click("button:has-text('Japan')");
    await find(page, ".placemap[data-map=japan] path[data-shade='5']");
    await keep(page, "search-japan");
  });

  await act("what cannot be understood is pointed at", async () => {
    await page.goto(`${options.base}/search?q=${encodeURIComponent("port:23 vendr:buffalo")}`);
    await find(page, "[role=alert] mark:has-text('vendr')");
    await find(page, "[role=alert]:has-text('vendor')");
    await keep(page, "search-misunderstood");
  });

  let host = "";
  await act("a host now and then", async () => {
    await page.goto(`${options.base}/search?q=${encodeURIComponent("state:*  -state:answered")}`);
    await find(page, "table.rows tbody tr");
    await page.locator("table.rows tbody a").first().click();
    await find(page, "h2:has-text('Before')");
    await page.locator("section:has(h2:has-text('Before')) table tbody tr").first().waitFor();
    host = page.url();
    await page.fill("label:has-text('Other day') input", "2026-04-01");
    await find(page, "section:has(h2:has-text('Compare')) table tbody tr");
    await keep(page, "host");
  });

  await act("a host tells when it was asked, and by whom", async () => {
    const asked = page.locator("section:has(h2:has-text('When it was asked'))");
    await asked.locator("table tbody tr").first().waitFor();
    check((await asked.locator("td:has-text('answered')").count()) > 0, "some of it was answered");
    check((await asked.locator("a[href^='/mandates/']").count()) > 0, "and under a mandate");
    const [file] = await Promise.all([page.waitForEvent("download"), asked.locator("button:has-text('CSV')").click()]);
    check(file.suggestedFilename().startsWith("kenshin-probes-"), "the file names the host");
  });

  await act("what was known on a day", async () => {
    await page.goto(`${options.base}/search?q=${encodeURIComponent("state:*")}`);
    await find(page, "table.rows tbody tr");
    await settled(page);
    const now = await services();
    await page.fill("label:has-text('As known on') input", THEN);
    await find(page, `.notice[data-known='${THEN}']`);
    await find(page, "table.rows tbody tr");
    await settled(page);
    const then = await services();
    check(then > 0 && then < now, `less was known then: ${then} of ${now}`);
    await keep(page, "search-then");
    await page.reload();
    await find(page, "table.rows tbody tr");
    await settled(page);
    check((await services()) === then, "the day is in the address");
    const [file] = await Promise.all([page.waitForEvent("download"), page.click("a:has-text('All as CSV')")]);
    const lines = readFileSync(await file.path(), "utf8").trimEnd().split("\n");
    check(lines.length === then + 1 && lines[0].split(",").includes("addr"), `the file has ${lines.length - 1} of ${then} rows`);
    await page.locator("table.rows tbody a").first().click();
    await find(page, `.notice[data-known='${THEN}']`);
    await keep(page, "host-then");
    await page.click("button:has-text('Back to today')");
    await page.locator(".notice[data-known]").waitFor({ state: "detached" });
    await page.goto(`${options.base}/search?at=${THEN}&q=${encodeURIComponent("port:23 vendr:x")}`);
    await find(page, "[role=alert] mark:has-text('vendr')");
    await page.goto(`${options.base}/compare?q=&by=protocol&at-a=${THEN}`);
    await find(page, "table.rows tbody tr");
    await find(page, `.notice:has-text('${THEN}')`);
    await keep(page, "compare-then");
  });

  await act("earlier queries are forgotten by keyboard", async () => {
    await page.goto(`${options.base}/search`);
    await find(page, "table.rows tbody tr");
    await page.keyboard.press("/");
    await find(page, "[role=option]:has-text('Forget')");
    await page.keyboard.press("ArrowUp");
    await find(page, "[role=option][aria-selected=true]:has-text('Forget')");
    await page.keyboard.press("Enter");
    check((await page.evaluate(() => localStorage.getItem("kenshin.queries"))) === null, "none is kept");
  });

  await act("what is kept, and what was erased", async () => {
    await page.click("nav a:has-text('Retention')");
    await find(page, "section:has(h2:has-text('For how long')) table tbody tr:has-text('Observations')");
    await find(page, "section:has(h2:has-text('Legal holds'))");
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.click("section:has(h2:has-text('For how long')) button:has-text('CSV')"),
    ]);
    check(readFileSync(await file.path(), "utf8").includes("observations,,,"), "the file has the policy");
    await keep(page, "retention");
  });

  await act("two providers side by side", async () => {
    await page.goto(`${options.base}/compare?by=protocol`);
    await find(page, "table.rows tbody tr");
    for (const [label, index] of [["Provider of the first", 1], ["Provider of the second", 2]]) {
      await page.selectOption(`label:has-text('${label}') select`, { index });
      await settled(page);
    }
    const found = new URL(page.url()).searchParams;
    check(found.get("a") && found.get("b") && found.get("a") !== found.get("b"), "each side has its provider");
    await keep(page, "compare");
  });

  await act("a question in SQL", async () => {
    await page.goto(`${options.base}/search`);
    await page.click("header a:has-text('SQL')");
    await page.fill("textarea", "SELECT protocol, count(*) AS n FROM services GROUP BY 1 ORDER BY 2 DESC");
    await page.keyboard.press("Control+Enter");
    await find(page, "table.rows tbody tr:has-text('http')");
    await keep(page, "sql");
    await page.fill("textarea", "SELECT nothing FROM services");
    await page.click("form button:has-text('Ask')");
    await find(page, "[role=alert]:has-text('nothing')");
  });

  let watched = "";
  await act("a query is saved by keyboard, and its secret is shown once", async () => {
    await page.goto(`${options.base}/search?q=${encodeURIComponent("protocol:telnet")}`);
    await find(page, "table.rows tbody tr");
    await page.focus("header button:has-text('Save and alert')");
    await page.keyboard.press("Enter");
    await find(page, "[role=dialog]");
    await page.getByLabel("Name", { exact: true }).fill("Telnet in town");
    await page.getByLabel("Alert on").selectOption("count");
    await page.getByLabel("Threshold").fill("100000");
    await page.getByLabel("Mail addresses").fill("soc@csirt.example");
    await page.getByLabel("Webhook").fill("http://hooks.example/x");
    await keep(page, "search-save");
    await page.keyboard.press("Enter");
    await find(page, "[role=dialog] [role=alert]:has-text('TLS')");
    await page.getByLabel("Webhook").fill("https://hooks.example/x");
    await page.keyboard.press("Enter");
    await find(page, "[role=dialog] code:has-text('whsec_')");
    await keep(page, "search-saved");
    await page.click("[role=dialog] a");
    await find(page, "h1:has-text('Telnet in town')");
    watched = new URL(page.url()).pathname;
    check(!((await page.textContent("body")) ?? "").includes("whsec_"), "the secret is not shown again");
  });

  await act("a saved search is looked at, silenced and let alert again", async () => {
    await page.click("header button:has-text('Look now')");
    await find(page, "[role=status]:has-text('Nothing is otherwise')");
    await page.click("header button:has-text('Silence')");
    await find(page, "aside .tag:has-text('silent')");
    await page.click("header button:has-text('Let it alert')");
    await find(page, "aside .tag:has-text('watching')");
    await keep(page, "saved-search");
    await page.click(".crumbs a");
    await find(page, "table.rows tbody th:has-text('Telnet in town')");
    await keep(page, "saved-searches");
  });

  await act("the explorer on a small screen, in Japanese", async () => {
    await page.setViewportSize({ width: 390, height: 860 });
    for (const [path, name] of [["/search?q=protocol:http", "search"], [new URL(host).pathname, "host"], ["/compare?a=port:10080", "compare"], ["/searches", "saved-searches"],
      [`/search?at=${THEN}`, "search-then"], [`${new URL(host).pathname}?at=${THEN}`, "host-then"], ["/retention", "retention"]]) {
      await page.goto(`${options.base}${path}${path.includes("?") ? "&" : "?"}lang=ja`);
      await find(page, "table.rows tbody tr");
      await keep(page, `${name}-narrow-ja`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      check(wide <= 0, `${name} is ${wide} pixels too wide`);
    }
    await page.goto(`${options.base}${watched}?lang=ja`);
    await find(page, "h2:has-text('知らせ')");
    await keep(page, "saved-search-narrow-ja");
    await page.click("header button:has-text('削除')");
    await find(page, "[role=dialog]");
    await keep(page, "saved-search-delete-narrow-ja");
    await page.locator("[role=dialog] button:has-text('削除')").click();
    await page.waitForURL(/\/searches$/);
    await find(page, "h2:has-text('保存した検索はありません')");
    await page.setViewportSize({ width: 1360, height: 860 });
    await page.goto(`${options.base}/findings?lang=en`);
    await find(page, "table.rows tbody tr");
  });

  let finding = "";
  await act("a finding with its evidence", async () => {
    // One whose owner was notified, so that there is a notice to follow: not one that the last
    // round found first.
    const list = page.url();
    const rows = page.locator("table.rows tbody tr").filter({ hasNotText: "Nobody to notify" });
    const candidates = Math.min(await rows.count(), 20);
    for (let row = 0; row < candidates; row += 1) {
      await rows.nth(row).locator("a").first().click();
      await find(page, "pre.bytes");
      finding = page.url();
      await page.click("a:has-text('Go to its case')");
      await find(page, "ol.trail li");
      await settled(page);
      if ((await page.locator("section:has(h2:has-text('Notices')) table a").count()) > 0) break;
      await page.goto(list);
      await find(page, "table.rows tbody tr");
      await settled(page);
    }
    await page.goto(finding);
    await find(page, "pre.bytes");
    await find(page, "h2:has-text('Evidence')");
    finding = page.url();
    await keep(page, "finding");
  });

  await act("from the finding to its case", async () => {
    await page.click("a:has-text('Go to its case')");
    await find(page, "ol.trail li");
    check((await page.locator("ol.trail li").count()) >= 2, "the trail has events");
    await keep(page, "case");
  });

  await act("an act asks before it acts", async () => {
    const button = page.locator("header button:has-text('Acknowledge')");
    if ((await button.count()) === 0) return;
    await button.click();
    await find(page, "[role=dialog]:has-text('You act as')");
    await keep(page, "case-confirm");
    await page.keyboard.press("Escape");
    await page.locator("[role=dialog]").waitFor({ state: "detached" });
  });

  await act("from the case to its notice", async () => {
    await page.locator("section:has(h2:has-text('Notices')) table a").first().click();
    await find(page, "pre.letter");
    check(((await page.textContent("pre.letter")) ?? "").length > 200, "the mail's text is shown");
    await keep(page, "notice");
  });

  await act("the other language, everywhere", async () => {
    await page.click("button[lang=ja]");
    await find(page, "h2:has-text('本文')");
    check((await page.getAttribute("html", "lang")) === "ja", "the page says its language");
    await keep(page, "notice-ja");
    await page.goto(finding);
    await find(page, "h2:has-text('証拠')");
    await keep(page, "finding-ja");
  });

  const pages = [
    ["/", "概況", "overview"],
    ["/search", "検索", "search"],
    ["/findings", "所見", "findings"],
    ["/cases", "事案", "cases"],
    ["/notices", "通知", "notices"],
    ["/surveys", "調査", "surveys"],
    ["/mandates", "命令書", "mandates"],
    ["/providers", "事業者", "providers"],
    ["/retention", "保存と消去", "retention"],
    ["/audit", "監査記録", "audit"],
  ];
  for (const [path, title, name] of pages) {
    await act(`${name} in Japanese`, async () => {
      await page.goto(options.base + path);
      await find(page, `h1:has-text('${title}')`);
      await keep(page, `${name}-ja`);
    });
  }

  await act("a survey and a mandate", async () => {
    await page.goto(`${options.base}/surveys`);
    await (await find(page, "table.rows tbody a")).click();
    await find(page, "[role=progressbar]");
    await keep(page, "survey-ja");
    await page.goto(`${options.base}/mandates`);
    await (await find(page, "table.rows tbody a")).click();
    await find(page, "ol.statement li");
    await keep(page, "mandate-ja");
  });

  await act("dark, narrow, by keyboard", async () => {
    await page.click("button[aria-label='暗い表示']");
    await page.goto(options.base);
    await find(page, "figure svg");
    await keep(page, "overview-dark-ja");
    await page.goto(`${options.base}/retention`);
    await find(page, "table.rows tbody tr");
    await keep(page, "retention-dark-ja");
    await page.goto(`${options.base}/search?at=${THEN}`);
    await find(page, "table.rows tbody tr");
    await keep(page, "search-then-dark-ja");
    await page.goto(options.base);
    await find(page, "figure svg");
    await page.setViewportSize({ width: 420, height: 860 });
    await keep(page, "overview-narrow-ja");
    await page.setViewportSize({ width: 1360, height: 860 });
    await page.reload();
    await find(page, ".circle .value");
    await page.keyboard.press("Tab");
    check((await page.evaluate(() => document.activeElement?.className)) === "skip", "the first stop skips to the content");
    await page.keyboard.press("Enter");
    check((await page.evaluate(() => document.activeElement?.id)) === "content", "and leads there");
  });

  await act("sign out", async () => {
    await page.click("button:has-text('サインアウト')");
    await find(page, "input[name=login]");
    await page.goto(`${options.base}/cases`);
    await find(page, "input[name=login]");
  });

  await act("who signs in for the first time chooses a password", async () => {
    await page.goto(`${options.base}/search?q=protocol:telnet&lang=en`);
    await page.fill("input[name=login]", "guest");
    await page.fill("input[name=password]", options["guest-password"]);
    await page.keyboard.press("Enter");
    await find(page, "h1:has-text('Password')");
    check((await page.locator("nav a").count()) === 0, "nothing else is open yet");
    await page.setViewportSize({ width: 390, height: 860 });
    await keep(page, "password-narrow");
    await page.setViewportSize({ width: 1360, height: 860 });
    const own = "what a guest keeps in mind";
    const change = async (current, first, again) => {
      await page.fill("input[name=current]", current);
      await page.fill("input[name=new]", first);
      await page.fill("input[name=again]", again);
      await page.click("button:has-text('Change the password')");
    };
    await change(options["guest-password"], "short", "other");
    await find(page, ".mantine-PasswordInput-error:has-text('At least 10')");
    await find(page, ".mantine-PasswordInput-error:has-text('not the same')");
    await change("not the password", own, own);
    await find(page, "[role=alert]:has-text('present password is wrong')");
    await keep(page, "password-refused");
    await change(options["guest-password"], own, own);
    await find(page, ".totals b");
    check(new URL(page.url()).pathname === "/search", "what one came for is there");
    await page.reload();
    await find(page, ".totals b");
  });

  await act("an account limited to a mandate searches, and no more", async () => {
    check((await page.locator("nav a").allTextContents()).join() === "Search,Mandates", "the rest is not offered");
    await find(page, ".who:has-text('town-demo')");
    check((await services()) > 0, "what the mandate brought is found");
    await keep(page, "search-limited");
    await (await find(page, "table.rows tbody a[href^='/hosts/']")).click();
    await find(page, "h1:has-text('127.')");
    await find(page, "section:has(h2:has-text('When it was asked')) td:has-text('answered')");
    await keep(page, "host-limited");
    await page.goto(`${options.base}/cases?lang=en`);
    await find(page, "text=limited to some mandates");
    await keep(page, "cases-limited");
    await page.goto(`${options.base}/password?lang=en`);
    await find(page, "h1:has-text('Password')");
    await page.click("button:has-text('Sign out')");
    await find(page, "input[name=login]");
  });
} catch (error) {
  failed = error;
} finally {
  await browser.close();
}

for (const trouble of troubles) console.error(`trouble: ${trouble}`);
if (failed) console.error(`failed at "${step}": ${failed.message}`);
if (failed || troubles.length > 0) process.exit(1);
console.error(`${picture} pictures in ${options.shots}`);
