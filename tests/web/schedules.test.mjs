// Tests schedules, triggers and secrets in the console, in Chromium with a real server.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Runyard } from "../../clients/typescript/dist/index.js";
import { PHONE } from "./browser.mjs";
import { LIMIT, setUp } from "./setup.mjs";

const yard = setUp();

async function account() {
  const { token } = await yard.account();
  return { token, client: new Runyard({ baseUrl: yard.server.url, token }) };
}

test("a schedule is created, shows its next five times, and runs now", LIMIT, async () => {
  const { token, client } = await account();
  await yard.visit(async (visited, page) => {
    await visited.signIn(token, "#/schedules");
    await page.getByRole("heading", { level: 1, name: "Schedules" }).waitFor();
    await page.getByRole("button", { name: "New schedule" }).click();
    const dialog = page.getByRole("dialog", { name: "New schedule" });
    await dialog.getByLabel("Name").fill("Morning report");
    await dialog.getByLabel("Cron expression").fill("0 25 * * *");
    await dialog.getByLabel("Time zone").fill("Europe/Berlin");
    await dialog.getByLabel("Task").fill("say: Good morning.");
    await dialog.getByRole("button", { name: "Create schedule" }).click();
    await dialog.getByText(/cron: /i).waitFor();
    await dialog.getByLabel("Cron expression").fill("0 8 * * MON-FRI");
    await visited.screenshot("schedule-editor");
    await visited.audit("the editor of a schedule");
    await dialog.getByRole("button", { name: "Create schedule" }).click();
    const row = page.getByRole("list", { name: "Schedules" }).getByRole("listitem").filter({ hasText: "Morning report" });
    const next = row.getByRole("list", { name: "Next runs" });
    await next.waitFor();
    assert.equal(await next.getByRole("listitem").count(), 5);
    // Each button names its object for screen readers.
    await row.getByRole("button", { name: "Run now Morning report" }).click();
    const history = row.getByRole("region", { name: "History" });
    await history.getByText("started manually").waitFor();
    await history.getByRole("link", { name: "Open thread" }).waitFor();
    await visited.screenshot("schedules");
    await visited.audit("schedules");
    await row.getByRole("button", { name: "Pause" }).click();
    await row.getByText("Paused").waitFor();
    assert.equal(await next.count(), 0, "a paused schedule has no next times");
  });
  const [schedule] = await client.schedules.list().all();
  assert.equal(schedule.paused, true);
});

test("a trigger is created, shows its secret once, and its last run", LIMIT, async () => {
  const { token, client } = await account();
  await yard.visit(async (visited, page) => {
    await visited.signIn(token, "#/schedules");
    await page.getByRole("button", { name: "New trigger" }).click();
    const dialog = page.getByRole("dialog", { name: "New trigger" });
    await dialog.getByLabel("Name").fill("Issues");
    await dialog.getByLabel("Prompt template").fill("say: {{body.title}}");
    await dialog.getByRole("button", { name: "Create trigger" }).click();
    const shown = page.getByRole("dialog", { name: "Secret of the trigger" });
    const secret = await shown.getByRole("textbox", { name: "Secret" }).inputValue();
    await page.keyboard.press("Escape");
    const [trigger] = await client.triggers.list().all();
    const sent = await fetch(`${yard.server.url}${trigger.path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${secret}` },
      body: JSON.stringify({ title: "It breaks" }),
    });
    assert.equal(sent.status, 202);
    await page.reload();
    const row = page.getByRole("list", { name: "Triggers" }).getByRole("listitem").filter({ hasText: "Issues" });
    await row.getByRole("link", { name: "Last run" }).waitFor();
    await visited.screenshot("triggers");
    await visited.audit("triggers");
  });
});

test("a secret is created, changed and deleted, and its value is never shown", LIMIT, async () => {
  const { token, client } = await account();
  await yard.visit(async (visited, page) => {
    await visited.signIn(token, "#/account");
    await page.getByRole("button", { name: "New secret" }).click();
    const dialog = page.getByRole("dialog", { name: "New secret" });
    await dialog.getByLabel("Name").fill("GITHUB_KEY");
    await dialog.getByLabel("Value").fill("canary-of-the-console");
    await dialog.getByLabel("Hosts").fill("mcp.example.com");
    await dialog.getByRole("button", { name: "Create secret" }).click();
    const list = page.getByRole("list", { name: "Secrets" });
    await list.getByText("only for mcp.example.com").waitFor();
    await list.scrollIntoViewIfNeeded();
    await visited.screenshot("secrets");
    await visited.audit("secrets");
    await list.getByRole("button", { name: "Edit GITHUB_KEY" }).click();
    const change = page.getByRole("dialog", { name: "Edit GITHUB_KEY" });
    await change.getByLabel("Hosts").fill("");
    await change.getByRole("button", { name: "Save" }).click();
    await list.getByText("for all MCP servers").waitFor();
    assert.ok(!(await page.content()).includes("canary-of-the-console"));
    await list.getByRole("button", { name: "Delete GITHUB_KEY" }).click();
    await page.getByRole("dialog", { name: "Delete GITHUB_KEY?" }).getByRole("button", { name: "Delete" }).click();
    await list.getByText("GITHUB_KEY").waitFor({ state: "detached" });
  });
  assert.deepEqual(await client.secrets.list().all(), []);
});

test("the page fits a phone", LIMIT, async () => {
  const { token, client } = await account();
  await client.schedules.create({ name: "Each hour", cron: "0 * * * *", prompt: "say: Hello." });
  await client.triggers.create({ name: "Hook", prompt: "{{body}}" });
  await yard.visit(
    async (visited, page) => {
      await visited.signIn(token, "#/schedules");
      await page.getByRole("list", { name: "Triggers" }).getByText("Hook").waitFor();
      const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(inner <= outer, `${inner} > ${outer}`);
      await visited.screenshot("schedules-phone");
    },
    { viewport: PHONE },
  );
});
