// Tests the usage page in Chromium with a real server: plots, groups, periods and the export.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { PHONE } from "./browser.mjs";
import { checkLayout } from "./layout.mjs";
import { LIMIT, setUp } from "./setup.mjs";

const yard = setUp();

for (const colorScheme of ["light", "dark"]) {
  test(`usage is plotted by day, model, agent and thread, and exported, in ${colorScheme} colours`, LIMIT, async () => {
    const { token, client } = await yard.account();
    const agent = await client.agents.create({ name: "Analyst" });
    const first = await client.agents.run({ prompt: "bash: true\nsay: One.", agentId: agent.agentId });
    await first.wait();
    await client.threads.update(first.threadId, { name: "Sales, 2026" });
    await (await client.agents.run({ prompt: "say: Two.", modelName: "kortix/minimax" })).wait();
    const charges = await client.account.usage().all();
    assert.equal(charges.length, 3);
    const visited = await yard.begin({ colorScheme });
    const { page } = visited;
    try {
      await visited.signIn(token);
      await page.keyboard.press("Escape");
      await visited.go("#/usage");
      await page.getByRole("heading", { level: 1, name: "Usage" }).waitFor();
      const plot = (name) => page.getByRole("img", { name, exact: true });
      const rows = async () => (await page.getByRole("table").getByRole("row").allInnerTexts()).slice(1).map((row) => row.split("\t").slice(0, 2));
      // One bar per day of the period, with axes that have names and numbers.
      const byDay = plot("Credits by day, last 30 days");
      await byDay.waitFor();
      assert.equal(await byDay.locator(".chart-bar").count(), 30);
      const heights = await byDay.locator(".chart-bar").evaluateAll((bars) => bars.map((bar) => bar.getBoundingClientRect().height));
      assert.ok(heights.at(-1) > 50 && heights.slice(0, -2).every((height) => height === 0), `${heights}`);
      await byDay.getByText("Day (UTC)").waitFor();
      await byDay.getByText("Credits", { exact: true }).waitFor();
      const today = new Date().toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
      assert.ok((await byDay.locator("text").allTextContents()).includes(today), "the last day has a label");
      await visited.screenshot(`usage-day-${colorScheme}`);
      await visited.audit("usage by day");
      await page.getByRole("combobox", { name: "Value" }).selectOption("calls");
      await plot("Model calls by day, last 30 days").getByText("3", { exact: true }).first().waitFor();
      await page.getByRole("combobox", { name: "Period" }).selectOption("7");
      await visited.until("seven days", async () => (await page.locator(".chart-bar").count()) === 7);

      await page.getByRole("button", { name: "Model", exact: true }).click();
      await plot("Model calls by model, last 7 days").getByText("kortix/basic", { exact: true }).waitFor();
      assert.deepEqual((await rows()).sort(), [["kortix/basic", "2"], ["kortix/minimax", "1"]]);
      await page.getByRole("button", { name: "Agent", exact: true }).click();
      await plot("Model calls by agent, last 7 days").getByText("Analyst", { exact: true }).waitFor();
      assert.deepEqual((await rows()).sort(), [["Analyst", "2"], ["Built-in agent", "1"]]);
      await visited.screenshot(`usage-agent-${colorScheme}`);
      await visited.audit("usage by agent");
      await page.getByRole("button", { name: "Thread", exact: true }).click();
      await plot("Model calls by thread, last 7 days").getByText("Sales, 2026", { exact: true }).waitFor();
      await page.getByRole("table").getByRole("link", { name: "Sales, 2026" }).waitFor();

      const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export as CSV" }).click()]);
      assert.equal(download.suggestedFilename(), "usage-by-thread.csv");
      const lines = readFileSync(await download.path(), "utf8").trimEnd().split("\r\n");
      assert.equal(lines[0], "thread,thread_id,model_calls,input_tokens,output_tokens,credits");
      assert.equal(lines.length, 3);
      const tokens = charges.filter(({ threadId }) => threadId === first.threadId).reduce((sum, { inputTokens }) => sum + inputTokens, 0);
      assert.ok(lines.some((line) => line.startsWith(`"Sales, 2026",${first.threadId},2,${tokens},`)), lines.join("\n"));

      await page.setViewportSize(PHONE);
      await visited.until("the plot fits", async () => (await page.locator(".chart svg").evaluate((svg) => svg.getBoundingClientRect().width)) < 390);
      await checkLayout(page, "usage on a phone");
      await visited.screenshot(`usage-phone-${colorScheme}`);
    } catch (error) {
      await visited.screenshot(`failed-${Date.now()}`).catch(() => {});
      throw error;
    }
    await visited.end();
  });
}
