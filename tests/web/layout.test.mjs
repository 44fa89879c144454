// Tests the layout of every console screen at every window size, in Chromium.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Runyard } from "../../clients/typescript/dist/index.js";
import { Server } from "../../clients/typescript/tests/server.mjs";
import { CONSOLE_DIR, startBrowser, Visit } from "./browser.mjs";
import { checkLayout, DESKTOPS, PHONES } from "./layout.mjs";
import { LIMIT } from "./setup.mjs";

const LONG_WORD = "supercalifragilistic".repeat(8);
const LINES = Array.from({ length: 60 }, (_, line) => `line ${line}`).join("\\n");

let browser;
let server;
let token;
let places;
let administrator;
let administrated;

before(async () => {
  const started = await Promise.allSettled([startBrowser(), Server.start(`RUNYARD_CONSOLE_DIR=${CONSOLE_DIR}`)]);
  [browser, server] = started.map(({ value }) => value);
  for (const { reason } of started.filter(({ status }) => status === "rejected")) {
    throw reason;
  }
  ({ token } = await server.ask({ do: "token", tier: "enterprise" }));
  places = await fill(new Runyard({ baseUrl: server.url, token }));
  ({ token: administrator } = await server.ask({ do: "token", sub: "root", role: "super_admin" }));
  administrated = await fillAccounts();
}, LIMIT);
after(async () => {
  await Promise.allSettled([browser?.close(), server?.close()]);
});

/** Fills the account with more data than any screen can show at once, and returns the screens. */
async function fill(client) {
  await Promise.all(
    Array.from({ length: 12 }, async (_, number) => {
      const name = `Analyst ${number} ${number === 7 ? LONG_WORD.slice(0, 80) : ""}`;
      await client.agents.create({ name, description: `Reads tables. ${LONG_WORD}`, systemPrompt: `Be brief.\n${LONG_WORD}`, tags: ["tables", LONG_WORD.slice(0, 40)] });
    }),
  );
  for (let number = 0; number < 30; number += 1) {
    await client.threads.create({ name: `Thread ${number} ${number % 10 === 0 ? LONG_WORD : ""}` });
  }
  // This thread is extreme in every respect: many turns, long text, long output and a long diff.
  const script = [
    `write: notes.txt | ${LINES}`,
    "edit: notes.txt | line 3 | line three",
    `bash: seq 400; echo ${LONG_WORD}`,
    `say: ${Array.from({ length: 40 }, (_, at) => `Paragraph ${at}: ${"words ".repeat(20)}`).join("\\n\\n")}`,
  ];
  let run = await client.agents.run({ prompt: script.join("\n") });
  assert.equal((await run.wait()).status, "completed");
  for (let number = 0; number < 12; number += 1) {
    run = await client.agents.run({ threadId: run.threadId, prompt: `write: output/file-${number}.txt | ${LINES}\nsay: Done ${number}. ${LONG_WORD}` });
    assert.equal((await run.wait()).status, "completed");
  }
  const [agent] = await client.agents.list().all();
  await client.agents.update(agent.agentId, { systemPrompt: `Be exact.\n${LONG_WORD}\n${"many words ".repeat(60)}` });
  await client.apiKeys.create({ name: "Reader", scopes: ["read"] });
  await client.memories.create({ text: `A fact. ${LONG_WORD}`, agentId: agent.agentId });
  return {
    home: ["#/", "What should the agent do?"],
    threads: ["#/threads", "Threads"],
    "an empty thread": [`#/threads/${(await client.threads.create({ name: "Empty" })).threadId}`, "Empty"],
    "a long thread": [`#/threads/${run.threadId}`, /./],
    runs: ["#/runs", "Runs"],
    agents: ["#/agents", "Agents"],
    "a new agent": ["#/agents/new", "New agent"],
    "an agent": [`#/agents/${agent.agentId}`, agent.name],
    "versions of an agent": [`#/agents/${agent.agentId}/versions`, agent.name],
    memory: ["#/memory", "Memory"],
    schedules: ["#/schedules", "Schedules"],
    webhooks: ["#/webhooks", "Webhooks"],
    usage: ["#/usage", "Usage"],
    account: ["#/account", "Account"],
    "a missing page": ["#/nowhere", "Page not found"],
  };
}

/** Creates accounts with a long subject and a long reason, and returns the screens of administrators. */
async function fillAccounts() {
  const ann = await server.client({ sub: `ann-${LONG_WORD}`, tier: "enterprise" });
  await (await ann.agents.run({ prompt: "say: Hello." })).wait();
  const { accountId } = await ann.account.state();
  for (let number = 0; number < 30; number += 1) {
    await (await server.client({ sub: `caller-${number}` })).account.state();
  }
  const answer = await fetch(`${server.url}/v1/admin/accounts/${accountId}/suspend`, {
    method: "POST",
    headers: { authorization: `Bearer ${administrator}`, "content-type": "application/json" },
    body: JSON.stringify({ reason: `Unpaid. ${LONG_WORD}` }),
  });
  assert.equal(answer.status, 200, await answer.text());
  return {
    administration: ["#/administration", "Administration"],
    "a suspended account": [`#/administration/${accountId}`, /^ann-/],
  };
}

/** Checks a page at each size. The largest size comes last, so that the next page opens with the largest size. */
async function checkSizes(visited, sizes, where) {
  for (const size of [...sizes].reverse()) {
    await visited.page.setViewportSize(size);
    try {
      await checkLayout(visited.page, where);
    } catch (error) {
      await visited.screenshot(`failed-layout-${where.replaceAll(" ", "-")}-${size.width}`);
      throw error;
    }
  }
}

for (const [kind, sizes, options] of [
  ["desktop", DESKTOPS, {}],
  ["phone", PHONES, { hasTouch: true, isMobile: true }],
]) {
  test(`every screen keeps the layout rules at every ${kind} size`, LIMIT, async () => {
    const visited = await Visit.begin(browser, server.url, { viewport: sizes[0], ...options });
    const { page } = visited;
    await page.goto(`${server.url}/`);
    // The heading is drawn before the form.
    await page.getByLabel("Token").waitFor();
    await checkSizes(visited, sizes, "sign-in");
    await page.goto(`${server.url}/docs`);
    await page.getByText("/agent/start").first().waitFor();
    await checkSizes(visited, sizes, "the API reference");
    await visited.signIn(token);
    for (const [where, [place, heading]] of Object.entries(places)) {
      await visited.go(place);
      await page.getByRole("heading", { level: 1, name: heading }).first().waitFor();
      if (where === "a long thread") {
        await page.getByText("Done 11.").first().waitFor();
      }
      await page.waitForLoadState("networkidle", { timeout: 5_000 }).catch(() => {});
      await checkSizes(visited, sizes, where);
    }
    await visited.go(places["a long thread"][0]);
    await page.getByText("Done 11.").first().waitFor();
    await page.setViewportSize(sizes.at(-1));
    const files = page.getByRole("group", { name: "View" }).getByRole("button", { name: /^Files/ });
    await files.click();
    await page.getByRole("region", { name: "Files" }).getByRole("button", { name: /^notes\.txt/ }).click();
    await page.getByRole("region", { name: "Preview of notes.txt" }).getByText("line 59").waitFor();
    await checkSizes(visited, sizes, "files of a long thread");
    await visited.end();
  });

  test(`every screen of administrators keeps the layout rules at every ${kind} size`, LIMIT, async () => {
    const visited = await Visit.begin(browser, server.url, { viewport: sizes[0], ...options });
    await visited.signIn(administrator);
    for (const [where, [place, heading]] of Object.entries(administrated)) {
      await visited.go(place);
      await visited.page.getByRole("heading", { level: 1, name: heading }).waitFor();
      await visited.page.waitForLoadState("networkidle", { timeout: 5_000 }).catch(() => {});
      await checkSizes(visited, sizes, where);
    }
    await visited.end();
  });
}

test("checkLayout detects pages that break the layout rules", LIMIT, async () => {
  const visited = await Visit.begin(browser, server.url);
  const { page } = visited;
  await visited.signIn(token, "#/threads");
  await page.getByRole("heading", { level: 1, name: "Threads" }).waitFor();
  await checkLayout(page, "threads");
  const breaks = async (change, expected) => {
    await page.evaluate(change);
    await assert.rejects(checkLayout(page, "threads"), expected);
    await page.evaluate(() => document.querySelector("#fault").remove());
    await checkLayout(page, "threads");
  };
  await breaks(() => {
    document.querySelector("main").insertAdjacentHTML("beforeend", '<div id="fault" class="wide">wide</div>');
    document.querySelector("#fault").style.width = "3000px";
  }, /too wide/);
  await breaks(() => {
    document.querySelector("main").insertAdjacentHTML("beforeend", '<div id="fault"></div>');
    document.querySelector("#fault").style.height = "1200px";
  }, /pixels at the end of the document are blank/);
  await breaks(() => {
    document.querySelector("main").insertAdjacentHTML("beforeend", '<div id="fault"><p>tall</p><b>hidden</b></div>');
    document.querySelector("#fault").style = "height: 50px; overflow-y: auto";
    document.querySelector("#fault p").style = "height: 900px";
    document.querySelector("#fault b").style = "position: absolute; width: 1px; height: 1px; overflow: hidden";
  }, /b leaves div, which has no position/);
  await visited.end();
});
