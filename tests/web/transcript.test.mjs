// Tests the transcript of a thread in Chromium with a real server: keys, scrolling, actions on runs, and low windows.

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

/** Low windows in CSS pixels: phones in landscape, and desktops at 200 % zoom. */
const LOW = [
  { width: 844, height: 390 },
  { width: 568, height: 320 },
  { width: 720, height: 450 },
  { width: 640, height: 360 },
  { width: 960, height: 540 },
  { width: 512, height: 384 },
];

let browser;
let server;
let folder;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "runyard-transcript-"));
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

async function account() {
  const { token } = await server.ask({ do: "token", tier: "enterprise" });
  return { token, client: new Runyard({ baseUrl: server.url, token }) };
}

async function visit(doing, options = {}) {
  const visited = await Visit.begin(browser, server.url, options);
  await visited.attempt(async () => {
    await doing(visited, visited.page);
  });
  await visited.end();
}

/** Waits until an element has stayed at one place for several frames. A turn of the wheel scrolls it smoothly. */
const scrolled = (region) =>
  region.evaluate(
    (element) =>
      new Promise((resolve) => {
        let [before, same] = [element.scrollTop, 0];
        const look = () => {
          same = element.scrollTop === before ? same + 1 : 0;
          before = element.scrollTop;
          if (same >= 15) resolve();
          else requestAnimationFrame(look);
        };
        look();
      }),
  );

test("Enter starts a run and Shift+Enter adds a line, until an option swaps them", LIMIT, async () => {
  const { token, client } = await account();
  await visit(async (visited, page) => {
    const { keyboard } = page;
    const task = page.getByRole("textbox", { name: "Task" });
    await visited.signIn(token);
    await task.focus();
    await keyboard.type("say: One.");
    await keyboard.press("Shift+Enter");
    await keyboard.type("bash: true");
    assert.equal(await task.inputValue(), "say: One.\nbash: true");
    await keyboard.press("Enter");
    await visited.run("completed").getByText("Done.").waitFor();
    await page.getByRole("button", { name: /^Options/ }).click();
    await page.getByRole("checkbox", { name: /^Enter starts the run/ }).uncheck();
    await page.reload();
    await task.focus();
    await keyboard.type("say: Two.");
    await keyboard.press("Enter");
    await keyboard.type("bash: true");
    assert.equal(await task.inputValue(), "say: Two.\nbash: true", "Enter adds a line now");
    await keyboard.press("Shift+Enter");
    await visited.run("completed").getByText("Two.").waitFor();
    await page.getByRole("button", { name: /^Options/ }).click();
    await page.getByRole("checkbox", { name: /^Enter starts the run/ }).check();
    assert.equal(await page.evaluate(() => localStorage.length), 0, "the default is not stored");
  });
  assert.equal((await client.runs.list().all()).length, 2);
});

test("a reader who scrolls up stays there while text streams, and can jump to the latest text", LIMIT, async () => {
  const { token } = await account();
  await visit(async (visited, page) => {
    await visited.signIn(token);
    // Each part of the text waits for a file.
    const [first, second, last] = ["first", "second", "last"].map((name) => join(folder, name));
    await visited.start(`say: ${"Intro. ".repeat(900)}\nstream: 30\nhold: ${first}\nstream: 300\nhold: ${second}\nstream: 300\nhold: ${last}`);
    const transcript = page.getByRole("region", { name: "Transcript" });
    const place = () => transcript.evaluate(({ scrollTop, scrollHeight, clientHeight }) => ({ top: scrollTop, left: scrollHeight - scrollTop - clientHeight, height: scrollHeight }));
    const jump = page.getByRole("button", { name: "Jump to latest" });
    await page.getByText("word-29").waitFor();
    await visited.until("the end is shown while text streams", async () => (await place()).left < 5);
    assert.equal(await jump.count(), 0);
    // One short turn of the wheel, which stays near the end.
    await transcript.hover();
    await page.mouse.wheel(0, -40);
    await jump.waitFor();
    await scrolled(transcript);
    const { top, height } = await place();
    writeFileSync(first, "");
    await visited.until("the text grows", async () => (await place()).height > height + 100);
    assert.ok(Math.abs((await place()).top - top) < 2, "the page stays where the reader scrolled");
    await visited.screenshot("jump-to-latest");
    await visited.audit("a transcript that is scrolled up");
    await jump.click();
    await jump.waitFor({ state: "detached" });
    const after = (await place()).height;
    writeFileSync(second, "");
    await visited.until("the text grows", async () => (await place()).height > after + 50);
    await visited.until("the end is shown again", async () => (await place()).left < 5);
    await page.getByRole("button", { name: "Stop" }).click();
    await visited.run("stopped").waitFor();
  });
});

test("live output that the reader has scrolled up stays there while it grows", LIMIT, async () => {
  const { token } = await account();
  await visit(async (visited, page) => {
    await visited.signIn(token);
    await visited.start("bash: for line in $(seq 900); do echo output-$line; [ $line -lt 60 ] || sleep 0.2; done");
    const output = page.getByRole("group", { name: "Live output" });
    const place = () => output.evaluate(({ scrollTop, scrollHeight, clientHeight }) => ({ top: scrollTop, left: scrollHeight - scrollTop - clientHeight, height: scrollHeight }));
    await output.getByText("output-60").waitFor();
    assert.ok((await place()).left < 5, "the end is shown while the output grows");
    await output.hover();
    await page.mouse.wheel(0, -200);
    await visited.until("the output is scrolled up", async () => (await place()).left > 50);
    await scrolled(output);
    const { top, height } = await place();
    await visited.until("the output grows", async () => (await place()).height > height + 50);
    assert.ok(Math.abs((await place()).top - top) < 2, "the output stays where the reader scrolled");
    await page.mouse.wheel(0, 10_000);
    await visited.until("the end is shown", async () => (await place()).left < 5);
    const later = (await place()).height;
    await visited.until("the output grows", async () => (await place()).height > later + 50);
    assert.ok((await place()).left < 5, "the output follows again");
    await page.getByRole("button", { name: "Stop" }).click();
    await visited.run("stopped").waitFor();
  });
});

for (const colorScheme of ["light", "dark"]) {
  test(`commands and changes of files have colours, in ${colorScheme} colours`, LIMIT, async () => {
    const { token, client } = await account();
    const run = await client.agents.run({ prompt: 'write: plan.py | def plan():\\n    return "a"  # one\\n\nedit: plan.py | return "a" | return 2\nbash: echo "$HOME" # note\nsay: Ready.' });
    await run.wait();
    await visit(
      async (visited, page) => {
        await visited.signIn(token, `#/threads/${run.threadId}`);
        await visited.run("completed").getByText("Ready.").waitFor();
        for (const name of [/^write plan\.py/, /^bash echo/]) {
          await page.getByRole("button", { name }).click();
        }
        const written = page.getByRole("group", { name: "Content of plan.py" });
        await written.locator(".hljs-keyword", { hasText: "def" }).waitFor();
        assert.equal(await written.locator(".diff-text").first().textContent(), "def plan():");
        const change = page.getByRole("group", { name: "Changes to plan.py" });
        await change.locator(".diff-removed .hljs-string", { hasText: '"a"' }).waitFor();
        await change.locator(".diff-added .hljs-number", { hasText: "2" }).waitFor();
        await page.getByRole("group", { name: "Command" }).locator(".hljs-comment", { hasText: "# note" }).waitFor();
        await visited.screenshot(`argument-colours-${colorScheme}`);
        await visited.audit("coloured arguments");
      },
      { colorScheme },
    );
  });
}

test("an answer is copied, and any ended run is retried or edited and sent again", LIMIT, async () => {
  const { token, client } = await account();
  const agent = await client.agents.create({ name: "Second" });
  const first = await client.agents.run({ prompt: "say: **One**.", agentId: agent.agentId, mode: "chat", modelName: "kortix/minimax" });
  await first.wait();
  const second = await client.agents.run({ prompt: "bash: true\nsay: Two.", threadId: first.threadId });
  await second.wait();
  await visit(
    async (visited, page) => {
      await visited.signIn(token, `#/threads/${first.threadId}`);
      const runs = page.getByRole("region", { name: "Run, completed" });
      await runs.nth(1).getByText("Two.").waitFor();
      await runs.nth(1).getByRole("button", { name: "Copy the answer" }).click();
      await visited.until("the answer is copied", async () => (await page.evaluate(() => navigator.clipboard.readText())) === "Two.");
      await visited.screenshot("run-actions");
      await visited.audit("the actions of runs");
      // The oldest run of the thread, with its agent, mode and model.
      await runs.nth(0).getByRole("button", { name: "Retry" }).click();
      await visited.until("three runs", async () => (await runs.count()) === 3);
      await runs.nth(0).getByRole("button", { name: "Edit and resend" }).click();
      const task = page.getByRole("textbox", { name: "Task" });
      await visited.until("the composer holds the task", async () => (await task.inputValue()) === "say: **One**.");
      await task.fill("say: Four.");
      await page.keyboard.press("Enter");
      await runs.nth(3).getByText("Four.").waitFor();
      await page.setViewportSize(PHONE);
      await checkLayout(page, "a run with its actions on a phone");
      await visited.screenshot("run-actions-phone");
    },
    { permissions: ["clipboard-read", "clipboard-write"] },
  );
  const runs = await client.runs.list({ threadId: first.threadId }).all();
  const like = ({ agentId, mode, modelRequested }) => [agentId, mode, modelRequested];
  assert.equal(runs.length, 4);
  assert.deepEqual(like(runs[0]), [agent.agentId, "chat", "kortix/minimax"]);
  assert.deepEqual(like(runs[1]), [agent.agentId, "chat", "kortix/minimax"]);
  const messages = await client.threads.listMessages(first.threadId).all();
  assert.deepEqual(
    messages.filter(({ role }) => role === "user").map(({ content }) => content),
    ["say: **One**.", "bash: true\nsay: Two.", "say: **One**.", "say: Four."],
  );
});

for (const isTouch of [false, true]) {
  test(`at least half of a low window shows the transcript ${isTouch ? "on a phone" : "on a desktop"}`, LIMIT, async () => {
    const { token, client } = await account();
    const run = await client.agents.run({ prompt: `say: ${"A line.\\n\\n".repeat(60)}` });
    await run.wait();
    await visit(
      async (visited, page) => {
        await visited.signIn(token, `#/threads/${run.threadId}`);
        await visited.run("completed").waitFor();
        for (const size of LOW) {
          const { width, height } = size;
          await page.setViewportSize(size);
          const share = await page.getByRole("region", { name: "Transcript" }).evaluate((region) => {
            const { left, right, top, bottom } = region.getBoundingClientRect();
            const shown = (from, to, end) => Math.max(0, Math.min(to, end) - Math.max(from, 0));
            return (shown(left, right, innerWidth) * shown(top, bottom, innerHeight)) / (innerWidth * innerHeight);
          });
          await visited.screenshot(`low-${width}x${height}${isTouch ? "-touch" : ""}`);
          assert.ok(share >= 0.5, `${Math.round(share * 100)} % of ${width}×${height} shows the transcript`);
          await checkLayout(page, "a low window");
          const options = page.getByRole("button", { name: /^Options/ });
          await options.click();
          await page.getByRole("combobox", { name: "Model" }).scrollIntoViewIfNeeded();
          await page.getByRole("textbox", { name: "Credits" }).scrollIntoViewIfNeeded();
          await checkLayout(page, "the options in a low window");
          if (width === 844) {
            await visited.screenshot(`low-options${isTouch ? "-touch" : ""}`);
            await visited.audit("a low window");
          }
          await options.click();
        }
        const main = page.getByRole("navigation", { name: "Main", exact: true });
        await main.getByRole("link", { name: "Account" }).click();
        await page.getByRole("heading", { level: 1, name: "Account" }).waitFor();
        await checkLayout(page, "the account in a low window");
      },
      isTouch ? { hasTouch: true, isMobile: true, viewport: LOW[0] } : {},
    );
  });
}
