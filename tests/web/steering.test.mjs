// Tests messages to a running agent in Chromium with a real server.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Runyard } from "../../clients/typescript/dist/index.js";
import { Server } from "../../clients/typescript/tests/server.mjs";
import { CONSOLE_DIR, PHONE, startBrowser, Visit } from "./browser.mjs";
import { checkLayout } from "./layout.mjs";
import { LIMIT } from "./setup.mjs";

let browser;
let server;
let folder;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "runyard-steering-"));
  const started = await Promise.allSettled([startBrowser(), Server.start(`RUNYARD_CONSOLE_DIR=${CONSOLE_DIR}`)]);
  [browser, server] = started.map(({ value }) => value);
  for (const { reason } of started.filter(({ status }) => status === "rejected")) {
    throw reason;
  }
}, LIMIT);
after(async () => {
  await Promise.allSettled([browser?.close(), server?.close()]);
  rmSync(folder, { recursive: true });
});

/** A page with a running run. Its model waits until `go` is called, and then calls a tool. */
async function visit(name, doing, options = {}) {
  const { token } = await server.ask({ do: "token", tier: "enterprise" });
  const client = new Runyard({ baseUrl: server.url, token });
  const gate = join(folder, name);
  const run = await client.agents.run({ prompt: `hold: ${gate}\nbash: true\nsay: Not changed.` });
  const visited = await Visit.begin(browser, server.url, options);
  await visited.attempt(async () => {
    await visited.signIn(token, `#/threads/${run.threadId}`);
    await visited.run("running").getByText("Waiting.").waitFor();
    await doing(visited, visited.page, { client, run, go: () => writeFileSync(gate, "") });
  });
  await visited.end();
}

const choose = (page, name) => page.getByRole("group", { name: "While a run is active" }).getByRole("button", { name }).click();
const unread = (page) => page.getByRole("list", { name: "Messages that the agent has not read" });

for (const colorScheme of ["light", "dark"]) {
  test(`a message reaches the running agent, which shows when it has read it, in ${colorScheme} colours`, LIMIT, async () => {
    await visit(
      `now-${colorScheme}`,
      async (visited, page, { client, run, go }) => {
        await choose(page, "Send now");
        await visited.start("say: I changed course.");
        await unread(page).getByText("waits for the next step").waitFor();
        // A new load of the thread can show the message before the answer to the request clears the field.
        await visited.until("the composer is empty", async () => (await page.getByRole("textbox", { name: "Task" }).inputValue()) === "");
        await visited.screenshot(`steering-${colorScheme}`);
        await visited.audit("a message that is not read");
        await page.setViewportSize(PHONE);
        await checkLayout(page, "a message that is not read, on a phone");
        await visited.screenshot(`steering-phone-${colorScheme}`);
        go();
        const steps = page.getByRole("list", { name: "Steps of the run" });
        await steps.getByText("read by the agent").waitFor();
        await visited.run("completed").getByText("I changed course.", { exact: true }).waitFor();
        await unread(page).waitFor({ state: "detached" });
        await page.reload();
        await steps.getByText("read by the agent").waitFor();
        await page.getByRole("button", { name: "Start", exact: true }).waitFor();
        await visited.screenshot(`steered-phone-${colorScheme}`);
        assert.equal(await page.evaluate(() => localStorage.getItem("runyard.when-busy")), '"now"', "the choice is kept");
        const messages = (await client.threads.listMessages(run.threadId).all()).filter(({ role }) => role === "user");
        assert.deepEqual(messages.map(({ delivery }) => delivery), [undefined, "read"]);
        assert.equal((await client.runs.list().all()).length, 1);
      },
      { colorScheme },
    );
  });
}

test("a message can wait for the end of the run, and a stopped run leaves a message to the next run", LIMIT, async () => {
  await visit("after", async (visited, page, { client, run, go }) => {
    // By default, a new run starts after the active one.
    await visited.start("say: Second run.");
    await visited.run("queued").waitFor();
    assert.equal((await client.runs.list().all()).length, 2);
    go();
    await visited.run("completed").getByText("Second run.").waitFor();
    await page.getByText("Not changed.", { exact: true }).waitFor();

    const gate = join(folder, "stopped");
    await visited.start(`hold: ${gate}`);
    await visited.run("running").getByText("Waiting.").waitFor();
    await choose(page, "Send now");
    await visited.start("say: Too late.");
    await unread(page).getByText("waits for the next step").waitFor();
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await visited.run("stopped").waitFor();
    await unread(page).getByText("not read; the next run reads it").waitFor();
    // The scripted model follows all messages since its last answer.
    writeFileSync(gate, "");
    await visited.start("And now?");
    await visited.run("completed").getByText("Too late.").waitFor();
    const { length } = await client.runs.list({ threadId: run.threadId }).all();
    assert.equal(length, 4);
  });
});

test("files cannot go to a running agent", LIMIT, async () => {
  await visit("files", async (visited, page, { go }) => {
    await choose(page, "Send now");
    await visited.start("say: Look.", { files: [{ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("a") }] });
    await page.getByRole("alert").getByText("A running agent cannot receive files.").waitFor();
    await choose(page, "After this run");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    go();
    await visited.run("completed").getByText("Look.", { exact: true }).waitFor();
  });
});

test("a message that arrives after the end of the run starts another run, which reads it", LIMIT, async () => {
  await visit("late", async (visited, page, { client, run, go }) => {
    await choose(page, "Send now");
    // The request waits until the run has ended.
    await page.route("**/runyard.v1.ThreadService/AddMessage", async (route) => {
      go();
      await run.wait();
      await route.continue();
    });
    await visited.start("say: Not too late.");
    await visited.run("completed").getByText("Not too late.", { exact: true }).waitFor();
    assert.equal((await client.runs.list().all()).length, 2);
    const messages = (await client.threads.listMessages(run.threadId).all()).filter(({ role }) => role === "user");
    assert.deepEqual(messages.map(({ content, delivery }) => [content.split("\n").at(-1), delivery]), [
      ["say: Not changed.", undefined],
      ["say: Not too late.", undefined],
    ]);
  });
});
