// Tests the sign-in across the tabs of a browser, in Chromium with a real server.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMIT, setUp } from "./setup.mjs";

const HOME = "What should the agent do?";

const yard = setUp();

const heading = (page, name) => page.getByRole("heading", { level: 1, name });

async function openTab(visited) {
  const tab = await visited.context.newPage();
  tab.setDefaultTimeout(90_000);
  await tab.goto(`${yard.server.url}/#/threads`);
  return tab;
}

/** A page that answers like a tab that the browser has frozen: later than the tab that asks waits for. */
async function frozenTab(visited) {
  const tab = await visited.context.newPage();
  await tab.goto(`${yard.server.url}/healthz`);
  await tab.evaluate(() => {
    window.channel = new BroadcastChannel("runyard.session");
    channel.addEventListener("message", ({ data }) => {
      if (data.kind === "ask") window.question = data.question;
    });
  });
  return tab;
}

/** The frozen tab answers its last question with the token, after messages that it has sent before. */
async function answerLate(frozen, asking, token, ...before) {
  const received = asking.evaluate(
    () =>
      new Promise((resolve) => {
        const channel = new BroadcastChannel("runyard.session");
        channel.addEventListener("message", ({ data }) => data.kind === "end" && resolve());
        window.listens = true;
      }),
  );
  await asking.waitForFunction(() => window.listens);
  await frozen.evaluate(
    (messages) => {
      for (const message of messages) channel.postMessage({ question: window.question, ...message });
    },
    [...before, { kind: "answer", session: { token, grant: null } }, { kind: "end" }],
  );
  await received;
}

test("a new tab is signed in without a stored token, and a sign-out signs out all tabs", LIMIT, async () => {
  const { token } = await yard.account();
  const visited = await yard.begin();
  const { page } = visited;
  await visited.signIn(token);
  const second = await openTab(visited);
  await heading(second, "Threads").waitFor();
  assert.equal(await second.evaluate(() => localStorage.length), 0, "the token is not stored on the device");
  // A reload needs no other tab.
  await page.close();
  await second.reload();
  await heading(second, "Threads").waitFor();
  const third = await openTab(visited);
  await heading(third, "Threads").waitFor();
  await second.getByRole("button", { name: "Sign out" }).click();
  for (const tab of [second, third]) {
    await heading(tab, "Sign in").waitFor();
    assert.equal(await tab.evaluate(() => sessionStorage.length + localStorage.length), 0, "no tab keeps the token");
  }
  const fourth = await openTab(visited);
  await heading(fourth, "Sign in").waitFor();
  await visited.end();
});

test("the token is gone when the last tab closes, and another browser profile never receives it", LIMIT, async () => {
  const { token } = await yard.account();
  const visited = await yard.begin();
  await visited.signIn(token);
  const other = await yard.begin();
  await other.page.goto(`${yard.server.url}/`);
  await heading(other.page, "Sign in").waitFor();
  await other.end();
  await visited.page.close();
  const later = await openTab(visited);
  await heading(later, "Sign in").waitFor();
  await visited.end();
});

test("a tab of another account stays signed in", LIMIT, async () => {
  const [first, second] = [await yard.server.ask({ do: "token", tier: "enterprise" }), await yard.server.ask({ do: "token", tier: "enterprise" })];
  const visited = await yard.begin();
  await visited.signIn(first.token);
  const tab = await visited.context.newPage();
  await tab.goto(`${yard.server.url}/#token=${second.token}`);
  await heading(tab, HOME).waitFor();
  await visited.page.getByRole("button", { name: "Sign out" }).click();
  await heading(visited.page, "Sign in").waitFor();
  await tab.reload();
  await heading(tab, HOME).waitFor();
  assert.equal(await tab.evaluate(() => sessionStorage.getItem("runyard.token")), second.token);
  // The answer to a new tab signs in that tab only.
  const third = await openTab(visited);
  await heading(third, "Threads").waitFor();
  await heading(visited.page, "Sign in").waitFor();
  assert.equal(await visited.page.evaluate(() => sessionStorage.length), 0);
  await visited.end();
});

test("a late answer of another tab signs in, but not after a sign-out", LIMIT, async () => {
  const { token } = await yard.account();
  const visited = await yard.begin();
  const { page } = visited;
  const frozen = await frozenTab(visited);
  await page.goto(`${yard.server.url}/`);
  await heading(page, "Sign in").waitFor();
  await answerLate(frozen, page, token);
  await heading(page, HOME).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await heading(page, "Sign in").waitFor();
  await answerLate(frozen, page, token);
  assert.equal(await page.evaluate(() => sessionStorage.length), 0, "the tab has no session after its sign-out");
  await page.reload();
  await heading(page, "Sign in").waitFor();
  await answerLate(frozen, page, token, { kind: "signed-out", identity: token, reason: null });
  assert.equal(await page.evaluate(() => sessionStorage.length), 0, "the tab has no session after the sign-out of another tab");
  await visited.end();
});

test("a sign-in on the device survives the sign-out of another account", LIMIT, async () => {
  const [first, second] = [await yard.account(), await yard.account()];
  const visited = await yard.begin();
  const { page } = visited;
  await page.goto(`${yard.server.url}/`);
  await page.getByLabel("Token").fill(first.token);
  await page.getByLabel("Keep me signed in on this device").check();
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await heading(page, HOME).waitFor();
  const tab = await visited.context.newPage();
  await tab.goto(`${yard.server.url}/#token=${second.token}`);
  await heading(tab, HOME).waitFor();
  await tab.getByRole("button", { name: "Sign out" }).click();
  await heading(tab, "Sign in").waitFor();
  assert.equal(await tab.evaluate(() => localStorage.getItem("runyard.token")), first.token);
  await page.getByRole("button", { name: "Sign out" }).click();
  await heading(page, "Sign in").waitFor();
  assert.equal(await page.evaluate(() => localStorage.getItem("runyard.token")), null);
  await visited.end();
});
