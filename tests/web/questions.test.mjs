// Tests the forms for the questions of MCP servers, and the views of JSON results, in Chromium with a real server.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Runyard } from "../../clients/typescript/dist/index.js";
import { Server } from "../../clients/typescript/tests/server.mjs";
import { CONSOLE_DIR, PHONE, startBrowser, Visit } from "./browser.mjs";
import { checkLayout } from "./layout.mjs";
import { AskingServer } from "./questions.mjs";
import { LIMIT } from "./setup.mjs";

const JOURNEY = {
  type: "object",
  properties: {
    day: { type: "string", title: "Day", description: "The day of the journey.", oneOf: [{ const: "mo", title: "Monday" }, { const: "tu", title: "Tuesday" }] },
    seats: { type: "integer", title: "Seats", minimum: 1, maximum: 9 },
    meals: { type: "array", title: "Meals", items: { type: "string", enum: ["Fish", "Rice", "None"] } },
    email: { type: "string", title: "Email address", format: "email" },
    insured: { type: "boolean", title: "With insurance", default: true },
    at: { type: "string", title: "Departure", format: "date-time" },
    note: { type: "string", title: "Note", maxLength: 400 },
  },
  required: ["day", "seats"],
};
const QUESTIONS = { journey: ["Which journey?", JOURNEY], sure: ["Are you sure?", { type: "object", properties: {} }] };
const RESULT = JSON.stringify([{ place: "12A", price: 30.5 }, { place: "12B", price: 9 }]);

let browser;
let server;
let folder;
let remote;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "runyard-questions-"));
  writeFileSync(join(folder, "runyard.toml"), "[mcp]\nallow_private_addresses = true\n");
  const started = await Promise.allSettled([
    startBrowser(),
    Server.start(`RUNYARD_CONSOLE_DIR=${CONSOLE_DIR}`, `RUNYARD_CONFIG=${join(folder, "runyard.toml")}`),
    AskingServer.start(QUESTIONS, RESULT),
  ]);
  [browser, server, remote] = started.map(({ value }) => value);
  for (const { reason } of started.filter(({ status }) => status === "rejected")) {
    throw reason;
  }
}, LIMIT);
after(async () => {
  remote?.close();
  await Promise.allSettled([browser?.close(), server?.close()]);
  rmSync(folder, { recursive: true });
});

/** Starts a run that waits for the answers to the questions. */
async function asked() {
  const { token } = await server.ask({ do: "token", tier: "enterprise" });
  const client = new Runyard({ baseUrl: server.url, token });
  const { agentId } = await client.agents.create({ name: "Books", customMcps: [{ name: "travel", type: "http", url: remote.url }] });
  const run = await client.agents.run({ agentId, prompt: 'call: travel__book | {"city": "Rome"}\nsay: Booked.' });
  for await (const event of run) {
    if (event.type === "status" && event.status === "waiting") {
      return { token, client, run };
    }
  }
  throw new Error("the run ended without waiting");
}

async function visit(doing, options = {}) {
  const visited = await Visit.begin(browser, server.url, options);
  await visited.attempt(async () => {
    await doing(visited, visited.page);
  });
  await visited.end();
}

for (const colorScheme of ["light", "dark"]) {
  test(`the questions of an MCP server are answered in forms, in ${colorScheme} colours`, LIMIT, async () => {
    const { token, run } = await asked();
    await visit(
      async (visited, page) => {
        await visited.signIn(token, `#/threads/${run.threadId}`);
        const cards = visited.run("waiting").getByRole("group", { name: "Question" });
        await visited.until("both questions are shown", async () => (await cards.count()) === 2);
        await visited.run("waiting").getByRole("group", { name: "Arguments" }).getByText('"city"').waitFor();
        const journey = cards.filter({ hasText: "Which journey?" });
        const sure = cards.filter({ hasText: "Are you sure?" });
        await journey.getByText("The MCP server travel asks this").waitFor();
        const send = journey.getByRole("button", { name: "Send answer" });

        // Mistakes are shown at their fields, and the first one gets the focus.
        await journey.getByRole("spinbutton", { name: "Seats" }).fill("12");
        await journey.getByRole("textbox", { name: "Email address" }).fill("ada");
        await send.click();
        await journey.getByText("Choose a value.").waitFor();
        await journey.getByText("Enter 9 or less.").waitFor();
        await journey.getByText("Enter an email address.").waitFor();
        assert.equal(await journey.locator('[aria-invalid="true"]').count(), 3);
        await visited.until("the first mistake has the focus", () => journey.locator('[aria-invalid="true"]').first().evaluate((field) => field === document.activeElement));
        await visited.screenshot(`form-${colorScheme}`);
        await visited.audit("a form with mistakes");
        await page.setViewportSize(PHONE);
        await checkLayout(page, "a form on a phone");
        await journey.scrollIntoViewIfNeeded();
        await visited.screenshot(`form-phone-${colorScheme}`);
        await page.setViewportSize({ width: 1440, height: 900 });

        await journey.getByRole("combobox", { name: "Day" }).selectOption({ label: "Tuesday" });
        await journey.getByRole("spinbutton", { name: "Seats" }).fill("2");
        await journey.getByRole("textbox", { name: "Email address" }).fill("ada@example.com");
        const meals = journey.getByRole("group", { name: "Meals" });
        await meals.getByRole("checkbox", { name: "Rice" }).check();
        await meals.getByRole("checkbox", { name: "Fish" }).check();
        await journey.getByRole("checkbox", { name: "With insurance" }).uncheck();
        await journey.getByLabel("Departure").fill("2026-12-01T08:30");
        await send.click();
        await journey.getByText("Answered").waitFor();
        await journey.getByText("Tuesday").waitFor();
        await sure.getByRole("button", { name: "Decline" }).click();
        await visited.run("completed").getByText("Booked.").waitFor();

        // The result is a list of flat objects.
        const card = page.getByRole("button", { name: /^travel__book/ });
        if ((await card.getAttribute("aria-expanded")) === "false") {
          await card.click();
        }
        const table = visited.run("completed").getByRole("table");
        await table.getByText("12A").waitFor();
        await visited.screenshot(`json-result-${colorScheme}`);
        await visited.audit("a JSON result as a table");
        await table.getByRole("columnheader", { name: "price" }).getByRole("button").click();
        assert.deepEqual(await table.locator("tbody td:first-child").allInnerTexts(), ["12B", "12A"]);
        const views = visited.run("completed").getByRole("group", { name: "Show as" });
        await views.getByRole("button", { name: "Tree" }).click();
        await visited.run("completed").getByRole("group", { name: "JSON" }).getByText("[2 items]").waitFor();
        await views.getByRole("button", { name: "Text" }).click();
        assert.equal(await visited.run("completed").getByRole("group", { name: "Result", exact: true }).innerText(), RESULT);
        await page.setViewportSize(PHONE);
        await checkLayout(page, "an answered form on a phone");
      },
      { colorScheme },
    );
    const { journey, sure } = remote.replies.at(-1);
    assert.deepEqual(journey, {
      action: "accept",
      content: { day: "tu", seats: 2, email: "ada@example.com", meals: ["Fish", "Rice"], insured: false, at: new Date("2026-12-01T08:30").toISOString() },
    });
    assert.deepEqual(sure, { action: "decline" });
  });
}

test("the page of pending inputs answers questions with forms, also without fields", LIMIT, async () => {
  const { token, run } = await asked();
  await visit(async (visited, page) => {
    await visited.signIn(token, "#/waiting");
    const articles = page.getByRole("article");
    await articles.nth(1).waitFor();
    await visited.screenshot("pending-forms");
    await visited.audit("pending forms");
    const sure = articles.filter({ hasText: "Are you sure?" });
    await sure.getByText("Arguments of the call").click();
    await sure.getByRole("group", { name: "Arguments" }).getByText('"city"').waitFor();
    await sure.getByRole("button", { name: "Send answer" }).click();
    await sure.waitFor({ state: "detached" });
    await articles.getByRole("button", { name: "Decline" }).click();
    await page.getByText("Nothing waits for you").waitFor();
  });
  assert.equal((await run.wait()).status, "completed");
  assert.deepEqual(remote.replies.at(-1), { journey: { action: "decline" }, sure: { action: "accept", content: {} } });
});
