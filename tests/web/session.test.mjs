// Tests the sign-in across the tabs of a browser, in Chromium with a real server.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server } from "../../clients/typescript/tests/server.mjs";
import { CONSOLE_DIR, startBrowser, Visit } from "./browser.mjs";

const LIMIT = { timeout: 400_000 };
const HOME = "What should the agent do?";

let browser;
let server;

before(async () => {
  const started = await Promise.allSettled([startBrowser(), Server.start(`RUNYARD_CONSOLE_DIR=${CONSOLE_DIR}`)]);
  [browser, server] = started.map(({ value }) => value);
  for (const { reason } of started.filter(({ status }) => status === "rejected")) {
    throw reason;
  }
}, LIMIT);
after(async () => {
  await Promise.allSettled([browser?.close(), server?.close()]);
});

const heading = (page, name) => page.getByRole("heading", { level: 1, name });

async function openTab(visited) {
  const tab = await visited.context.newPage();
  tab.setDefaultTimeout(90_000);
  await tab.goto(`${server.url}/#/threads`);
  return tab;
}

test("a new tab is signed in without a stored token, and a sign-out signs out all tabs", LIMIT, async () => {
  const { token } = await server.ask({ do: "token", tier: "enterprise" });
  const visited = await Visit.begin(browser, server.url);
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
  const { token } = await server.ask({ do: "token", tier: "enterprise" });
  const visited = await Visit.begin(browser, server.url);
  await visited.signIn(token);
  const other = await Visit.begin(browser, server.url);
  await other.page.goto(`${server.url}/`);
  await heading(other.page, "Sign in").waitFor();
  await other.end();
  await visited.page.close();
  const later = await openTab(visited);
  await heading(later, "Sign in").waitFor();
  await visited.end();
});

test("a tab of another account stays signed in", LIMIT, async () => {
  const [first, second] = [await server.ask({ do: "token", tier: "enterprise" }), await server.ask({ do: "token", tier: "enterprise" })];
  const visited = await Visit.begin(browser, server.url);
  await visited.signIn(first.token);
  const tab = await visited.context.newPage();
  await tab.goto(`${server.url}/#token=${second.token}`);
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
