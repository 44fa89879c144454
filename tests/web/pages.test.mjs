// Takes screenshots of every page at three widths, in light and dark colours, for a person to check. The test itself checks the
// layout rules, the contrast, and the size of touch targets. The screenshots are in target/web/pages.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { Runyard } from "../../clients/typescript/dist/index.js";
import { Server } from "../../clients/typescript/tests/server.mjs";
import { CONSOLE_DIR, OUTPUT, startBrowser, Visit } from "./browser.mjs";
import { checkLayout, drawn } from "./layout.mjs";

const LIMIT = { timeout: 580_000 };
const FOLDER = `${OUTPUT}/pages`;
const WIDTHS = [
  { width: 1440, height: 900 },
  { width: 1920, height: 1080 },
  { width: 390, height: 844 },
];
/** Maximum height of a screenshot. */
const MAX_HEIGHT = 4_000;
/** Minimum width and height of a control on a phone, in pixels (WCAG 2.2, 2.5.8). */
const MIN_TARGET = 24;

let browser;
let server;
let token;
let places;
let administrator;
let administrated;

before(async () => {
  mkdirSync(FOLDER, { recursive: true });
  const started = await Promise.allSettled([startBrowser(), Server.start(`RUNYARD_CONSOLE_DIR=${CONSOLE_DIR}`)]);
  [browser, server] = started.map(({ value }) => value);
  for (const { reason } of started.filter(({ status }) => status === "rejected")) {
    throw reason;
  }
  ({ token } = await server.ask({ do: "token", tier: "enterprise" }));
  places = await fill(new Runyard({ baseUrl: server.url, token }));
  ({ token: administrator } = await server.ask({ do: "token", sub: "root", role: "super_admin" }));
  administrated = await fillAccounts();
}, LIMIT);
after(async () => {
  await Promise.allSettled([browser?.close(), server?.close()]);
});

const CHART = `<svg xmlns="http://www.w3.org/2000/svg" width="480" height="220"><rect width="480" height="220" fill="#fff"/>${[80, 120, 60, 160, 190]
  .map((height, at) => `<rect x="${40 + at * 85}" y="${200 - height}" width="50" height="${height}" fill="#0b6650"/>`)
  .join("")}</svg>`;

/** Fills the account with data as a person has it, and returns the pages: the address and the text that shows that it is loaded. */
async function fill(client) {
  const analyst = await client.agents.create({ name: "Sales analyst", description: "Reads tables and writes short reports with charts.", systemPrompt: "Be brief. Show numbers in tables.", tags: ["sales", "reports"], agentpressTools: { ask_user: { enabled: true } } });
  await client.agents.create({ name: "Code reviewer", description: "Reviews changes and runs the tests.", systemPrompt: "Find bugs first." });
  await client.agents.update(analyst.agentId, { systemPrompt: "Be brief. Show numbers in tables.\nName the source of each number." });
  for (const name of ["Weekly numbers", "Fix the parser", "Translate the handbook", "A name that is far too long for the list of threads, because a person pasted the whole task into it"]) {
    await (await client.threads.create({ name }));
  }
  const answer = ["## Result", "", "Units grew by **12 %** in the *north*.", "", "| Region | Units | Share |", "|---|---:|---:|", "| North | 1,204 | 41 % |", "| South | 903 | 31 % |", "", "1. Sort the table.", "2. Draw `chart.svg`.", "", "```python", "def total(rows):", "    return sum(row.units for row in rows)  # all regions", "```"].join("\\n");
  const run = await client.agents.run({
    agentId: analyst.agentId,
    prompt: `write: output/report.md | # Report\\n\\nUnits grew.\nbash: echo "region,units" && seq 5\nsay: ${answer}`,
    files: [
      { name: "sales.csv", data: new TextEncoder().encode(`region,units,revenue\n${Array.from({ length: 30 }, (_, at) => `Region ${at},${at * 37 % 101},${(at * 911) % 7000}.50`).join("\n")}\n`) },
      { name: "chart.svg", data: new TextEncoder().encode(CHART) },
    ],
  });
  await run.wait();
  await client.threads.update(run.threadId, { name: "Sales report for the third quarter" });
  await (await client.agents.run({ threadId: run.threadId, prompt: "bash: exit 3\nsay: The command failed, so I stopped here." })).wait();
  await (await client.agents.run({ prompt: "say: Hello.", modelName: "kortix/minimax" })).wait();
  const asks = await client.agents.run({ agentId: analyst.agentId, prompt: 'call: ask_user | {"question": "Which colour should the chart have?", "choices": ["Red", "Blue"]}\nsay: Thanks.' });
  for await (const event of asks) {
    if (event.type === "status" && event.status === "waiting") {
      break;
    }
  }
  await client.threads.update(asks.threadId, { name: "A chart in colour" });
  await client.schedules.create({ name: "Morning report", cron: "0 8 * * MON-FRI", timeZone: "Europe/Berlin", prompt: "say: Good morning." });
  const paused = await client.schedules.create({ name: "Monthly invoice", cron: "0 0 1 * *", prompt: "say: Hello." });
  await client.schedules.pause(paused.scheduleId);
  await client.triggers.create({ name: "New issue", prompt: "{{body.title}}" });
  await client.webhooks.create({ url: "https://hooks.example.com/runyard/production", events: ["run.completed", "run.failed"] }).catch(() => {});
  await client.secrets.create({ name: "GITHUB_KEY", value: "a-long-secret-value", hosts: ["api.github.com"] });
  await client.apiKeys.create({ name: "Nightly job", scopes: ["run"] });
  await client.apiKeys.create({ name: "Dashboard", scopes: ["read"] });
  await client.memories.create({ text: "Ann prefers tables over charts." });
  await client.memories.create({ text: "The financial year begins in April.", agentId: analyst.agentId });
  const thread = `#/threads/${run.threadId}`;
  return {
    home: ["#/", "What should the agent do?"],
    threads: ["#/threads", "Weekly numbers"],
    thread: [thread, "The command failed"],
    runs: ["#/runs", "The command failed"],
    waiting: ["#/waiting", "Which colour should"],
    agents: ["#/agents", "Code reviewer"],
    "agent-new": ["#/agents/new", "New agent"],
    agent: [`#/agents/${analyst.agentId}`, "Sales analyst"],
    versions: [`#/agents/${analyst.agentId}/versions`, "Name the source"],
    skills: ["#/skills", "No skills yet"],
    memory: ["#/memory", "Ann prefers tables"],
    schedules: ["#/schedules", "New issue"],
    webhooks: ["#/webhooks", "Webhooks"],
    usage: ["#/usage", "Output tokens"],
    account: ["#/account", "Nightly job"],
    missing: ["#/nowhere", "Page not found"],
  };
}

/** Creates accounts, one of them suspended, and returns the pages of administrators. */
async function fillAccounts() {
  const ann = await server.client({ sub: "ann", tier: "enterprise" });
  await (await ann.agents.run({ prompt: "say: Hello." })).wait();
  const bob = await server.client({ sub: "bob" });
  const [annId, bobId] = [(await ann.account.state()).accountId, (await bob.account.state()).accountId];
  const answer = await fetch(`${server.url}/v1/admin/accounts/${bobId}/suspend`, {
    method: "POST",
    headers: { authorization: `Bearer ${administrator}`, "content-type": "application/json" },
    body: JSON.stringify({ reason: "Unpaid bill" }),
  });
  assert.equal(answer.status, 200, await answer.text());
  return {
    administration: ["#/administration", "bob"],
    "administration-account": [`#/administration/${annId}`, "kortix/basic"],
    "administration-suspended": [`#/administration/${bobId}`, "Unpaid bill"],
  };
}

/** Returns the visible controls that are too small for a finger. Links inside of a sentence may be as high as its text. */
function smallTargets(page) {
  return page.evaluate((least) => {
    const inText = (element) => element.localName === "a" && getComputedStyle(element).display === "inline";
    const isHidden = (element) => element.closest(".unseen, .skip") || getComputedStyle(element).visibility === "hidden" || element.closest("label");
    return [...document.querySelectorAll("button, a, summary, select, input, textarea, [role=separator]")]
      .filter((element) => !inText(element) && !isHidden(element))
      .map((element) => ({ element, box: element.getBoundingClientRect() }))
      .filter(({ box }) => box.width > 0 && box.height > 0 && Math.min(box.width, box.height) < least)
      .map(({ element, box }) => `${element.localName}.${element.className} “${element.ariaLabel ?? element.textContent.slice(0, 30)}”: ${Math.round(box.width)}×${Math.round(box.height)}`);
  }, MIN_TARGET);
}

/** Whether the bar at the bottom shows the link to the current page, if it has one. */
function isCurrentShown(page) {
  return page.evaluate(() => {
    const box = document.querySelector(".tabs [aria-current]")?.getBoundingClientRect();
    // The browser scrolls by whole pixels, and the widths of the links have fractions.
    return !box || box.width === 0 || (box.left > -1 && box.right < innerWidth + 1);
  });
}

/** Sets the size of the window, and waits until the page has drawn it. */
async function resize(page, size) {
  await page.setViewportSize(size);
  await drawn(page);
}

/** With `whole`, the window becomes as high as the page, because the navigation of a phone covers a part of each window. */
async function shoot(visited, name, colorScheme, { whole = true } = {}) {
  const { page } = visited;
  for (const size of WIDTHS) {
    await resize(page, size);
    await checkLayout(page, name);
    const scrollHeight = await page.evaluate(() => document.documentElement.scrollHeight);
    if (whole && scrollHeight > size.height) {
      await resize(page, { ...size, height: Math.min(scrollHeight, MAX_HEIGHT) });
    }
    await page.screenshot({ path: `${FOLDER}/${name}-${size.width}-${colorScheme}.png`, animations: "disabled" });
    if (size.width < 480) {
      assert.ok(await isCurrentShown(page), `${name}: the current link of the navigation is out of view`);
      assert.deepEqual(await smallTargets(page), [], `${name}: small controls`);
    }
  }
  await visited.audit(`${name} in ${colorScheme} colours`);
  await page.setViewportSize(WIDTHS[0]);
}

for (const colorScheme of ["light", "dark"]) {
  test(`every page looks right at three widths in ${colorScheme} colours`, LIMIT, async () => {
    const visited = await Visit.begin(browser, server.url, { colorScheme, reducedMotion: "reduce" });
    const { page } = visited;
    await page.goto(`${server.url}/`);
    // The heading is drawn before the form.
    await page.getByLabel("Token").waitFor();
    await shoot(visited, "sign-in", colorScheme);
    await page.goto(`${server.url}/docs`);
    await page.getByText("/agent/start").first().waitFor();
    await shoot(visited, "docs", colorScheme, { whole: false });
    await visited.signIn(token);
    for (const [name, [place, text]] of Object.entries(places)) {
      await visited.go(place);
      await page.getByRole("main").getByText(text).first().waitFor();
      if (name === "usage") {
        await page.getByRole("img", { name: /^Credits by day/ }).waitFor();
      }
      await page.waitForLoadState("networkidle", { timeout: 3_000 }).catch(() => {});
      await shoot(visited, name, colorScheme, { whole: name !== "thread" });
    }
    await visited.go(places.thread[0]);
    const files = page.getByRole("region", { name: "Files" });
    for (const name of ["sales.csv", "chart.svg"]) {
      await files.getByRole("button", { name: new RegExp(`^${name.replace(".", "\\.")}`) }).click();
      await page.getByRole("region", { name: `Preview of ${name}` }).waitFor();
      await shoot(visited, `preview-${name.split(".")[0]}`, colorScheme, { whole: false });
    }
    const dialogs = { schedules: "New schedule", webhooks: "New webhook", account: "New API key" };
    for (const [name, button] of Object.entries(dialogs)) {
      await visited.go(places[name][0]);
      await page.getByRole("button", { name: button, exact: true }).click();
      await page.getByRole("dialog").waitFor();
      await shoot(visited, `dialog-${name}`, colorScheme, { whole: false });
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    }
    await page.keyboard.press("Control+k");
    await page.getByRole("dialog", { name: "Go to" }).waitFor();
    await shoot(visited, "palette", colorScheme, { whole: false });
    await visited.end();
  });

  test(`every page of administrators looks right at three widths in ${colorScheme} colours`, LIMIT, async () => {
    const visited = await Visit.begin(browser, server.url, { colorScheme, reducedMotion: "reduce" });
    await visited.signIn(administrator);
    for (const [name, [place, text]] of Object.entries(administrated)) {
      await visited.go(place);
      await visited.page.getByRole("main").getByText(text).first().waitFor();
      await visited.page.waitForLoadState("networkidle", { timeout: 3_000 }).catch(() => {});
      await shoot(visited, name, colorScheme);
    }
    await visited.page.getByRole("main").getByRole("button", { name: "Grant credits" }).click();
    await visited.page.getByRole("dialog").waitFor();
    await shoot(visited, "dialog-administration", colorScheme, { whole: false });
    await visited.end();
  });
}

test("the check of touch targets finds a small button", LIMIT, async () => {
  const visited = await Visit.begin(browser, server.url, { viewport: WIDTHS[2] });
  const { page } = visited;
  await visited.signIn(token, "#/threads");
  await page.getByRole("heading", { level: 1, name: "Threads" }).waitFor();
  assert.deepEqual(await smallTargets(page), []);
  await page.evaluate(() => {
    document.querySelector("main").insertAdjacentHTML("beforeend", '<button id="fault">x</button>');
    document.querySelector("#fault").style.cssText = "width: 16px; height: 16px; padding: 0";
  });
  assert.match((await smallTargets(page)).join(), /“x”: 16×16/);
  await visited.end();
});
