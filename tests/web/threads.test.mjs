// Tests the threads screen in Chromium with a real server: days, the search, and the deletion of several threads.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PHONE } from "./browser.mjs";
import { checkLayout } from "./layout.mjs";
import { LIMIT, setUp } from "./setup.mjs";

const TITLES = ["Sales report", "Sales chart", "Fix the parser", "Notes"];

const yard = setUp();

/** A page with a new account that has 60 threads of one kind, and then `TITLES`. */
async function visit(doing, options = {}) {
  const { token, client } = await yard.account();
  await client.threads.create({ name: "The oldest thread" });
  for (let number = 1; number < 60; number += 1) {
    await client.threads.create({ name: `Filler ${number}` });
  }
  for (const name of TITLES) {
    await client.threads.create({ name });
  }
  const visited = await yard.begin(options);
  await visited.attempt(async () => {
    await visited.signIn(token, "#/threads");
    await visited.page.getByRole("heading", { level: 1, name: "Threads" }).waitFor();
    await doing(visited, visited.page, client);
  });
  await visited.end(/status of 4\d\d/);
}

test("threads are grouped by day, latest activity first, and searched beyond the first page", LIMIT, async () => {
  await visit(async (visited, page, client) => {
    const main = page.getByRole("main");
    const names = () => main.locator(".thread-row-name").allInnerTexts();
    await main.getByText("Notes", { exact: true }).waitFor();
    assert.deepEqual((await names()).slice(0, 4), [...TITLES].reverse());
    assert.equal((await names()).length, 50, "one page");
    const days = await main.getByRole("heading", { level: 2 }).allInnerTexts();
    assert.equal(days[0], "Today");
    await visited.audit("threads by day");
    const search = main.getByRole("searchbox", { name: "Search threads" });
    await search.fill("sales");
    await visited.until("the matching threads", async () => (await names()).join() === "Sales chart,Sales report");
    await search.fill("thread OLDEST");
    await visited.until("a thread of the second page", async () => (await names()).join() === "The oldest thread");
    await search.fill("nothing like this");
    await main.getByText("No thread contains these words.").waitFor();
    await search.fill("");
    await visited.until("all threads", async () => (await names()).length === 50);
    // Activity moves a thread to the top.
    const old = (await client.threads.list().all()).find(({ name }) => name === "Fix the parser");
    await (await client.agents.run({ prompt: "say: Hi.", threadId: old.threadId })).wait();
    await visited.go("#/");
    await page.getByRole("heading", { level: 1, name: "What should the agent do?" }).waitFor();
    await visited.go("#/threads");
    await visited.until("the active thread is first", async () => (await names())[0] === "Fix the parser");
  });
});

test("a search finds words in messages, and shows and marks them", LIMIT, async () => {
  await visit(async (visited, page, client) => {
    const main = page.getByRole("main");
    const [thread] = (await client.threads.list().all()).filter(({ name }) => name === "The oldest thread");
    await client.threads.addMessage(thread.threadId, { content: `${"Long ago. ".repeat(30)}We counted the purple\nbicycles in <b>Malmö</b>.` });
    await client.threads.addMessage((await client.threads.list().all()).find(({ name }) => name === "Filler 30").threadId, { content: "A bicycle." });
    await page.reload();
    const search = main.getByRole("searchbox", { name: "Search threads" });
    await search.fill("purple bicy");
    const row = main.getByRole("link", { name: /The oldest thread/ });
    await row.getByText("We counted the purple bicycles in <b>Malmö</b>.").waitFor();
    assert.deepEqual(await row.locator("mark").allInnerTexts(), ["purple", "bicy"]);
    assert.deepEqual(await main.locator(".thread-row-name").allInnerTexts(), ["The oldest thread"]);
    await visited.screenshot("threads-searched");
    await visited.audit("searched threads");
    await page.setViewportSize(PHONE);
    await checkLayout(page, "searched threads on a phone");
    await visited.screenshot("threads-searched-phone");
    await page.setViewportSize({ width: 1280, height: 800 });
    await search.fill("bicyc");
    await visited.until("both threads", async () => (await main.locator(".thread-row-name").allInnerTexts()).join() === "Filler 30,The oldest thread");
    await row.click();
    await page.getByRole("heading", { level: 1, name: "The oldest thread" }).waitFor();
  });
});

test("several threads are selected and deleted, and a refused deletion is reported", LIMIT, async () => {
  await visit(async (visited, page, client) => {
    const main = page.getByRole("main");
    const busy = (await client.threads.list().all()).find(({ name }) => name === "Notes");
    const run = await client.agents.run({ prompt: "sleep: 300", threadId: busy.threadId });
    await main.getByRole("button", { name: "Select" }).click();
    await visited.audit("threads to select");
    const remove = main.getByRole("button", { name: "Delete" });
    assert.ok(await remove.isDisabled(), "nothing is selected");
    for (const name of ["Sales report", "Sales chart"]) {
      await main.getByRole("checkbox", { name }).check();
    }
    await main.getByText("2 selected").waitFor();
    await visited.screenshot("threads-selected");
    await page.setViewportSize(PHONE);
    await checkLayout(page, "selected threads on a phone");
    await visited.screenshot("threads-selected-phone");
    await remove.click();
    await page.getByRole("dialog", { name: "Delete 2 threads?" }).getByRole("button", { name: "Delete" }).click();
    await main.getByText("Sales chart").waitFor({ state: "detached" });
    const left = async () => (await client.threads.list().all()).map(({ name }) => name);
    assert.deepEqual([(await left()).length, (await left()).some((name) => name.startsWith("Sales"))], [62, false]);
    // The server keeps a thread with an active run. The others are deleted.
    await main.getByRole("searchbox", { name: "Search threads" }).fill("e");
    await main.getByRole("button", { name: "Select" }).click();
    for (const name of [/^Notes/, "Filler 59"]) {
      await main.getByRole("checkbox", { name }).check();
    }
    await remove.click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("alert").getByText("1 thread could not be deleted").waitFor();
    assert.deepEqual([(await left()).includes("Notes"), (await left()).includes("Filler 59")], [true, false]);
    await run.stop();
  });
});
