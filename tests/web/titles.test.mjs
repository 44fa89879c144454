// Tests the names that the model suggests for threads in Chromium with a real server.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PHONE } from "./browser.mjs";
import { checkLayout } from "./layout.mjs";
import { LIMIT, setUp } from "./setup.mjs";

const yard = setUp();

async function visit(doing) {
  const { token, client } = await yard.account();
  const visited = await yard.begin();
  const calls = [];
  visited.page.on("request", (request) => {
    if (request.url().includes("SuggestThreadTitle")) {
      calls.push(request.url());
    }
  });
  await visited.attempt(async () => {
    await visited.signIn(token);
    await doing(visited, visited.page, client, calls);
  });
  await visited.end();
}

const heading = (page, name) => page.getByRole("heading", { level: 1, name, exact: true });

test("the first run of a thread gives it a title, which the head and the list show at once", LIMIT, async () => {
  await visit(async (visited, page, client, calls) => {
    await client.threads.create({ name: "Another thread" });
    await visited.start("say: Sold 12.\ntitle: Sales in March");
    await visited.run("completed").getByText("Sold 12.").waitFor();
    await heading(page, "Sales in March").waitFor();
    const recent = page.getByRole("navigation", { name: "Recent threads" });
    await recent.getByRole("link", { name: "Sales in March" }).waitFor();
    await visited.until("the title of the page", async () => (await page.title()) === "Sales in March · Runyard");
    assert.deepEqual((await client.threads.list().all()).map(({ name }) => name), ["Sales in March", "Another thread"]);
    // Only the first run gives a title.
    await visited.start("say: Sold 13.\ntitle: Something else");
    await visited.run("completed").getByText("Sold 13.").waitFor();
    await page.reload();
    await heading(page, "Sales in March").waitFor();
    assert.equal(calls.length, 1);
    assert.equal(await page.evaluate(() => localStorage.length), 0, "the default is not stored");
    await visited.audit("a thread with a title");
  });
});

test("without the option no call is made, and the choice is kept", LIMIT, async () => {
  await visit(async (visited, page, client, calls) => {
    const options = page.getByRole("button", { name: /^Options/ });
    const titles = page.getByRole("checkbox", { name: /^The model names new threads/ });
    await options.click();
    assert.equal(await titles.isChecked(), true);
    await titles.uncheck();
    await visited.screenshot("run-options-titles");
    await page.setViewportSize(PHONE);
    await checkLayout(page, "the option for titles on a phone");
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.reload();
    await options.click();
    assert.equal(await titles.isChecked(), false, "the choice is kept");
    await options.click();
    await visited.start("say: Sold 12.\ntitle: Sales in March");
    await visited.run("completed").getByText("Sold 12.").waitFor();
    // The list of runs is loaded after the end of the run, so a call would have been made before.
    await visited.go("#/runs");
    await page.getByRole("heading", { level: 1, name: "Runs" }).waitFor();
    assert.deepEqual(calls, []);
    assert.match((await client.threads.list().all())[0].name, /^say: Sold 12/);
    await visited.go("#/");
    await options.click();
    await titles.check();
    assert.equal(await page.evaluate(() => localStorage.length), 0);
    await options.click();
    await visited.start("say: Sold 14.\ntitle: Sales in April");
    await heading(page, "Sales in April").waitFor();
    assert.equal(calls.length, 1);
  });
});
