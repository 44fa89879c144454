// Tests "Try it" of the API reference in Chromium with a real server.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PHONE } from "./browser.mjs";
import { checkLayout } from "./layout.mjs";
import { LIMIT, setUp } from "./setup.mjs";

const yard = setUp();

async function visit(doing, options = {}) {
  const { token } = await yard.account();
  const visited = await yard.begin(options);
  await visited.attempt(async () => {
    await doing(visited, visited.page, token);
  });
  await visited.end();
}

/** Opens the form of an operation. Returns the operation's part of the page. */
async function form(page, name) {
  const operation = page.locator(`article[id="${name}"]`);
  const head = operation.locator(".operation-head");
  await head.waitFor();
  if ((await head.getAttribute("aria-expanded")) === "false") {
    await head.click();
  }
  await operation.getByRole("button", { name: "Try it" }).click();
  return operation;
}

const send = (operation) => operation.getByRole("button", { name: "Send the request" }).click();
const response = (operation) => operation.getByRole("region", { name: "Response" });
/** The status of the response. Its body, its id and its duration can contain the same digits. */
const status = (operation, code) => response(operation).locator(".status", { hasText: new RegExp(`^${code}`) });

test("the reference starts a run with a file and watches it, with the sign-in of the console", LIMIT, async () => {
  for (const colorScheme of ["light", "dark"]) {
    await visit(
      async (visited, page, token) => {
        await visited.signIn(token);
        await page.goto(`${yard.server.url}/docs`);
        const start = await form(page, "RunService_StartRun");
        await start.getByText("Uses your sign-in of the console.").waitFor();
        await start.getByLabel("prompt (optional)").fill("bash: wc -c < data.csv\nsay: Counted.");
        await start.getByLabel("files").setInputFiles({ name: "data.csv", mimeType: "text/csv", buffer: Buffer.from("a,b\n") });
        await send(start);
        await status(start, 200).waitFor();
        const started = JSON.parse(await response(start).locator("code").last().innerText());

        const stream = await form(page, "RunService_StreamRun");
        await send(stream);
        await stream.getByText("Enter agent_run_id.").waitFor();
        await stream.getByLabel("agent_run_id", { exact: true }).fill(started.agent_run_id);
        await send(stream);
        await response(stream).getByText("Counted.").waitFor();
        await response(stream).getByText('"completed"').waitFor();
        await visited.until("the stream ends", async () => (await response(stream).getByText("streaming", { exact: true }).count()) === 0);
        await stream.scrollIntoViewIfNeeded();
        await visited.screenshot(`reference-${colorScheme}`);
        await visited.audit("a form of the reference");
        await page.setViewportSize(PHONE);
        await checkLayout(page, "a form of the reference on a phone");
        await response(stream).scrollIntoViewIfNeeded();
        await visited.screenshot(`reference-phone-${colorScheme}`);
      },
      { colorScheme },
    );
  }
});

test("a stream can be stopped, errors are shown, and a request can have another token", LIMIT, async () => {
  await visit(async (visited, page, token) => {
    await page.goto(`${yard.server.url}/docs`);
    const create = await form(page, "AgentService_CreateAgent");
    await create.getByText("You are not signed in to the console.").waitFor();
    await create.getByLabel("Token or API key").fill(token);
    await create.getByLabel("Body (JSON)").fill("{");
    await send(create);
    await create.getByText("The body is not valid JSON").waitFor();
    await create.getByLabel("Body (JSON)").fill('{"name": "Made here"}');
    await send(create);
    await response(create).getByText("Made here").waitFor();

    // The other forms use the same token.
    const start = await form(page, "RunService_StartRun");
    await start.getByLabel("Send the body as").selectOption("json");
    await start.getByLabel("Body (JSON)").fill('{"prompt": "sleep: 100"}');
    await send(start);
    const run = JSON.parse(await response(start).locator("code").last().innerText());
    const stream = await form(page, "RunService_StreamRun");
    await stream.getByLabel("agent_run_id", { exact: true }).fill(run.agent_run_id);
    await send(stream);
    await response(stream).getByText("streaming", { exact: true }).waitFor();
    await stream.getByRole("button", { name: "Stop", exact: true }).click();
    await visited.until("the stream was stopped", async () => (await response(stream).getByText("streaming", { exact: true }).count()) === 0);
    const stop = await form(page, "RunService_StopRun");
    await stop.getByLabel("agent_run_id", { exact: true }).fill(run.agent_run_id);
    await send(stop);
    await status(stop, 200).waitFor();

    // The shared thread of a wrong token does not exist. The method needs no credential.
    const shared = await form(page, "ShareService_GetSharedThread");
    assert.equal(await shared.getByLabel("Token or API key").count(), 0);
    await shared.getByLabel("Body (JSON)").fill('{"token": "rys_wrong"}');
    await send(shared);
    await status(shared, 404).waitFor();
    visited.wrong = visited.wrong.filter((line) => !line.includes("404"));
  });
});

test("a request has the token of the console only if the user wants that", LIMIT, async () => {
  await visit(async (visited, page, token) => {
    await visited.signIn(token);
    await page.goto(`${yard.server.url}/docs`);
    const state = await form(page, "AccountService_GetAccountState");
    await state.getByRole("button", { name: "Use another token" }).click();
    const field = state.getByLabel("Token or API key");
    for (const text of ["", "a token"]) {
      await field.fill(text);
      await field.fill("");
      await send(state);
      await state.getByText("Enter a token or an API key.").waitFor();
      assert.equal(await response(state).count(), 0, "nothing is sent");
    }
    await checkLayout(page, "the field for another token");
    await state.getByRole("button", { name: "Use your sign-in of the console" }).click();
    await send(state);
    await status(state, 200).waitFor();
  });
});
