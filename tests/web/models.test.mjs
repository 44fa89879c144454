// Tests the message that no model is connected, and the name of the model that answered, in Chromium with real servers.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Runyard } from "../../clients/typescript/dist/index.js";
import { Server } from "../../clients/typescript/tests/server.mjs";
import { CONSOLE_DIR, PHONE, startBrowser, Visit } from "./browser.mjs";
import { checkLayout } from "./layout.mjs";
import { LIMIT } from "./setup.mjs";

let browser;
let connected;
let demo;

before(async () => {
  const place = `RUNYARD_CONSOLE_DIR=${CONSOLE_DIR}`;
  const started = await Promise.allSettled([startBrowser(), Server.start(place), Server.start(place, "--demo")]);
  [browser, connected, demo] = started.map(({ value }) => value);
  for (const { reason } of started.filter(({ status }) => status === "rejected")) {
    throw reason;
  }
}, LIMIT);
after(async () => {
  await Promise.allSettled([browser?.close(), connected?.close(), demo?.close()]);
});

async function visit(server, doing, options = {}) {
  const { token } = await server.ask({ do: "token", tier: "enterprise" });
  const visited = await Visit.begin(browser, server.url, options);
  await visited.attempt(async () => {
    await doing(visited, visited.page, { token, client: new Runyard({ baseUrl: server.url, token }) });
  });
  await visited.end();
}

const note = (page) => page.getByRole("status").filter({ hasText: "No model is connected" });

for (const colorScheme of ["light", "dark"]) {
  test(`without a model the console says how to connect one, in ${colorScheme} colours`, LIMIT, async () => {
    await visit(
      demo,
      async (visited, page, { token, client }) => {
        await visited.signIn(token);
        await visited.start("Say hello");
        await visited.run("completed").getByText("runyard/demo for kortix/basic").waitFor();
        await note(page).waitFor();
        assert.equal(await visited.run("completed").getByText("the built-in demo model answers").count(), 0, "the run does not repeat it");
        await checkLayout(page, "a thread without a model");
        await visited.screenshot(`no-model-thread-${colorScheme}`);
        await visited.audit("a thread without a model");
        // A new page knows it from the newest run.
        await page.reload();
        await visited.go("#/");
        await note(page).waitFor();
        await visited.screenshot(`no-model-${colorScheme}`);
        await note(page).getByRole("button", { name: "How to connect a model" }).click();
        const guide = page.getByRole("dialog", { name: "Connect a model" });
        await guide.getByText("RUNYARD_OPENAI_API_KEY").waitFor();
        await visited.screenshot(`connect-a-model-${colorScheme}`);
        await visited.audit("how to connect a model");
        await page.keyboard.press("Escape");
        await guide.waitFor({ state: "detached" });
        for (const screen of ["#/runs", "#/agents", "#/account"]) {
          await visited.go(screen);
          await note(page).waitFor();
          assert.equal(await note(page).count(), 1, screen);
        }
        await visited.go("#/");
        await page.setViewportSize(PHONE);
        await checkLayout(page, "home without a model on a phone");
        await visited.screenshot(`no-model-phone-${colorScheme}`);
        await note(page).getByRole("button", { name: "Close this message" }).click();
        await note(page).waitFor({ state: "detached" });
        assert.equal((await client.runs.list().all()).length, 1);
      },
      { colorScheme },
    );
  });
}

test("with a model there is no such message, and a run shows its model", LIMIT, async () => {
  await visit(connected, async (visited, page, { token }) => {
    await visited.signIn(token);
    await visited.start("say: Hello.");
    const run = visited.run("completed");
    await run.getByText("kortix/basic", { exact: true }).waitFor();
    assert.equal(await run.getByText("runyard/demo").count(), 0);
    assert.equal(await note(page).count(), 0);
  });
});
