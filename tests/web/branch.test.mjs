// Tests branches and exports of threads, and the actions on the page of the runs, in Chromium with a real server.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { PHONE } from "./browser.mjs";
import { checkLayout } from "./layout.mjs";
import { LIMIT, setUp } from "./setup.mjs";

const yard = setUp();

/** A page with a thread of two completed runs. */
async function visit(doing, options = {}) {
  const { token, client } = await yard.account();
  const first = await client.agents.run({ prompt: "write: notes.txt | hello\nsay: One." });
  await first.wait();
  const second = await client.agents.run({ prompt: "say: Two.", threadId: first.threadId, mode: "chat" });
  await second.wait();
  await client.threads.update(first.threadId, { name: "Sales report" });
  const visited = await yard.begin(options);
  await visited.attempt(async () => {
    await visited.signIn(token, `#/threads/${first.threadId}`);
    await visited.page.getByRole("region", { name: "Run, completed" }).nth(1).getByText("Two.").waitFor();
    await doing(visited, visited.page, { client, threadId: first.threadId });
  });
  await visited.end();
}

const texts = async (client, threadId) => (await client.threads.listMessages(threadId).all()).map(({ role, content }) => [role, content]);
const branches = async (client) => (await client.threads.list().all()).filter(({ name }) => name === "Sales report (branch)");

test("a branch begins with the messages up to a run, and shares the workspace", LIMIT, async () => {
  await visit(async (visited, page, { client, threadId }) => {
    await page.getByRole("region", { name: "Run, completed" }).first().getByRole("button", { name: "Branch", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "Sales report (branch)" }).waitFor();
    const [branch] = await branches(client);
    assert.deepEqual(await texts(client, branch.threadId), [
      ["user", "write: notes.txt | hello\nsay: One."],
      ["assistant", "One."],
    ]);
    await page.getByRole("region", { name: "Files" }).getByRole("button", { name: /^notes\.txt/ }).waitFor();
    await visited.screenshot("branch");
    await visited.audit("a branch");
    await visited.start("say: Three.");
    await visited.run("completed").getByText("Three.").waitFor();
    // A branch can be branched again, also from a message without a run.
    await page.getByRole("article").nth(1).getByRole("button", { name: "Branch", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "Sales report (branch) (branch)" }).waitFor();
    assert.equal((await texts(client, threadId)).filter(([role]) => role === "user").length, 2, "the thread is unchanged");
  });
});

test("a branch before a task puts the task into the composer", LIMIT, async () => {
  await visit(async (visited, page, { client }) => {
    const buttons = page.getByRole("button", { name: "Branch before this task" });
    await buttons.first().click();
    await page.getByRole("heading", { level: 1, name: "Sales report (branch)" }).waitFor();
    const task = page.getByRole("textbox", { name: "Task" });
    await visited.until("the composer holds the task", async () => (await task.inputValue()) === "say: Two.");
    // The menu has only one mode until the server has sent the others.
    const mode = page.getByRole("combobox", { name: "Mode", exact: true });
    await visited.until("the mode of the task is selected", async () => (await mode.inputValue()) === "chat");
    const [branch] = await branches(client);
    assert.equal((await texts(client, branch.threadId)).length, 2);
    await page.setViewportSize(PHONE);
    await checkLayout(page, "a branch on a phone");
    await visited.screenshot("branch-phone");
  });
});

test("a thread is exported as Markdown and as JSON", LIMIT, async () => {
  await visit(async (visited, page, { threadId }) => {
    const save = async (name) => {
      await page.getByLabel("Thread actions").click();
      if (name === "Export as JSON") {
        await visited.screenshot("thread-menu");
        await visited.audit("the menu of a thread");
      }
      const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
      return [download.suggestedFilename(), readFileSync(await download.path(), "utf8")];
    };
    const [markdownName, markdown] = await save("Export as Markdown");
    assert.equal(markdownName, "sales-report.md");
    assert.match(markdown, /^# Sales report\n/);
    for (const part of ["## You, ", "say: Two.", "## Agent (kortix/basic), ", "Tool call `write`:", '"content": "hello']) {
      assert.ok(markdown.includes(part), `${part} in\n${markdown}`);
    }
    const [jsonName, json] = await save("Export as JSON");
    assert.equal(jsonName, "sales-report.json");
    const data = JSON.parse(json);
    assert.deepEqual([data.thread.threadId, data.runs.length, data.messages[0].role], [threadId, 2, "user"]);
  });
});

test("a run is retried and edited on the page of the runs", LIMIT, async () => {
  await visit(async (visited, page, { client, threadId }) => {
    await visited.go("#/runs");
    const cards = page.getByRole("article", { name: "Sales report, completed" });
    await cards.nth(1).getByText("One.").waitFor();
    await visited.audit("runs with actions");
    const filter = page.getByRole("group", { name: "Filter runs" });
    await filter.getByRole("button", { name: /^Active/ }).click();
    await page.getByRole("heading", { name: "No active runs" }).waitFor();
    await filter.getByRole("button", { name: "All" }).click();
    await cards.nth(0).getByRole("button", { name: "Edit and resend" }).click();
    const task = page.getByRole("textbox", { name: "Task" });
    await visited.until("the composer holds the task", async () => (await task.inputValue()) === "say: Two.");
    await visited.go("#/runs");
    await cards.nth(1).getByRole("button", { name: "Retry" }).click();
    await page.getByRole("heading", { level: 1, name: "Sales report" }).waitFor();
    await visited.until("a third run", async () => (await client.runs.list({ threadId }).all()).length === 3);
    const runs = await client.runs.list({ threadId }).all();
    const messages = await client.threads.listMessages(threadId).all();
    assert.equal(messages.find(({ agentRunId, role }) => agentRunId === runs[0].agentRunId && role === "user").content, "write: notes.txt | hello\nsay: One.");
  });
});
