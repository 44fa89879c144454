// Tests the sign-in with OpenID Connect: the console in Chromium, a real server, and a real identity provider.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Server } from "../../clients/typescript/tests/server.mjs";
import { CONSOLE_DIR, PATIENCE_MS, startBrowser, Visit } from "./browser.mjs";
import { checkLayout } from "./layout.mjs";
import { API, BUTTON, CLIENT, FONTS, Provider, SETTINGS } from "./provider.mjs";
import { LIMIT } from "./setup.mjs";
import { expire, signInThere, stored, until } from "./sign_in.mjs";

let browser;
let provider;
let server;
let folder;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "runyard-sign-in-"));
  [browser, provider] = await Promise.all([startBrowser(), Provider.start()]);
  configure(SETTINGS);
  server = await Server.start(`RUNYARD_CONSOLE_DIR=${CONSOLE_DIR}`, `RUNYARD_CONFIG=${join(folder, "runyard.toml")}`, "RUNYARD_JWT_SECRET=a secret for the tokens of the program itself");
  provider.register([`${server.url}/`]);
}, LIMIT);
after(async () => {
  await Promise.allSettled([browser?.close(), server?.close(), provider?.close()]);
  rmSync(folder, { recursive: true, force: true });
});

function configure(settings) {
  writeFileSync(join(folder, "runyard.toml"), `[auth]\nissuer_url = "${provider.url}"\n${settings}`);
}

async function restartWith(settings) {
  configure(settings);
  await server.ask({ do: "stop" });
  await server.ask({ do: "start" });
}

const heading = (page, name) => page.getByRole("heading", { level: 1, name });
const button = (page, name = BUTTON) => page.getByRole("button", { name, exact: true });

async function visit(options = {}) {
  const visited = await Visit.begin(browser, server.url, { others: [provider.url, FONTS], ...options });
  await visited.context.route(`${FONTS}/**`, (route) => route.fulfill({ contentType: "text/css", body: "" }));
  return visited;
}

async function tabOf(visited, place = "#/threads") {
  const tab = await visited.context.newPage();
  tab.setDefaultTimeout(PATIENCE_MS);
  await tab.goto(`${server.url}/${place}`);
  return tab;
}

async function signIn(visited, login, { place = "#/threads", name = BUTTON } = {}) {
  const { page } = visited;
  await page.goto(`${server.url}/${place}`);
  await button(page, name).click();
  await signInThere(page, login);
  await page.getByRole("button", { name: "Continue" }).click();
}

test("one signs in, returns to the wanted page, and is signed in after a reload and in a new tab", LIMIT, async () => {
  const visited = await visit();
  const { page } = visited;
  const addresses = [];
  page.on("framenavigated", (frame) => addresses.push(frame.url()));
  const policy = (await page.goto(`${server.url}/`)).headers()["content-security-policy"];
  assert.ok(policy.includes(`connect-src 'self' ${provider.url};`), policy);
  provider.granted = [];
  await signIn(visited, "ann");
  await heading(page, "Threads").waitFor();
  assert.equal(page.url(), `${server.url}/#/threads`, "the address has no code and no state");
  assert.ok(addresses.some((address) => address.includes("code=")), "the provider sent a code in the address");
  const { token, grant } = await stored(page);
  const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  assert.deepEqual([claims.iss, claims.sub, claims.aud], [provider.url, "ann", API]);
  assert.ok(grant.refreshToken, "the provider issued a refresh token");
  assert.equal(await page.evaluate(() => localStorage.length), 0, "nothing is stored on the device");
  assert.equal(await page.evaluate(() => sessionStorage.getItem("runyard.sign_in")), null, "the pending sign-in is gone");
  await page.reload();
  await heading(page, "Threads").waitFor();
  const tab = await tabOf(visited);
  await heading(tab, "Threads").waitFor();
  assert.deepEqual((await stored(tab)).grant.id, grant.id, "the tabs share one sign-in");
  assert.deepEqual(provider.granted, ["authorization_code"]);
  // Going back to the address with the code is no new sign-in, and does not sign out.
  await page.goto(addresses.find((address) => address.includes("code=")));
  await heading(page, "What should the agent do?").waitFor();
  assert.equal(page.url(), `${server.url}/#/`);
  assert.deepEqual(provider.granted, ["authorization_code"]);
  await visited.end();
});

test("a short token is renewed once for all tabs, and requests and streams continue", LIMIT, async () => {
  provider.lifetime = 10;
  provider.granted = [];
  const revoked = provider.revoked;
  const visited = await visit();
  const { page } = visited;
  await signIn(visited, "bob");
  await heading(page, "Threads").waitFor();
  const tab = await tabOf(visited);
  await heading(tab, "Threads").waitFor();
  const first = await stored(page);
  // The sign-in of another user is stored on the device. The renewals and the sign-out do not change it.
  await page.evaluate(() => localStorage.setItem("runyard.token", "of another user"));
  // The server ends the stream of this run when the first token expires.
  await visited.go("#/");
  await visited.start("bash: sleep 14\nsay: Still here after the expiry.");
  await until("two renewals", () => provider.granted.length >= 3);
  const bothRenewed = async (before) => {
    const [one, other] = [await stored(page), await stored(tab)];
    return one.token !== before && one.token === other.token && one.grant.refreshToken === other.grant.refreshToken;
  };
  await until("both tabs have the newest token", () => bothRenewed(first.token));
  assert.equal((await stored(page)).grant.id, first.grant.id);
  await visited.run("completed").waitFor();
  await page.getByText("Still here after the expiry.").last().waitFor();
  // The tab that renews closes, so the other one renews. The first token has long expired by then. The tab closes right
  // after a renewal: a tab that closes during one takes the new refresh token with it.
  const { token: last } = await stored(page);
  await until("one more renewal", () => bothRenewed(last));
  await page.close();
  const count = provider.granted.length;
  await until("the other tab renews", () => provider.granted.length >= count + 2);
  // The page reloads right after a renewal, for the same reason.
  const { token: newest } = await stored(tab);
  await until("the other tab stores a renewed token", async () => (await stored(tab)).token !== newest);
  await tab.reload();
  await heading(tab, "Threads").waitFor();
  await tab.getByRole("link", { name: "Agents" }).first().click();
  await heading(tab, "Agents").waitFor();
  assert.equal(provider.revoked, revoked, "no refresh token was used twice");
  assert.deepEqual(new Set(provider.granted.slice(1)), new Set(["refresh_token"]));
  // The provider ends the session, so the next renewal fails, and the page says why.
  provider.register([`${server.url}/`]);
  await tab.getByText("Your session at the identity provider has ended").waitFor();
  await button(tab).waitFor();
  assert.equal(await tab.evaluate(() => sessionStorage.length), 0);
  assert.equal(await tab.evaluate(() => localStorage.getItem("runyard.token")), "of another user");
  provider.lifetime = 3600;
  await visited.end(/400/);
});

test("a refused consent, a wrong state and a blocked token endpoint are explained, and the next attempt works", LIMIT, async () => {
  const visited = await visit();
  const { page } = visited;
  [provider.granted, provider.refused] = [[], []];
  await page.goto(`${server.url}/#/threads`);
  await button(page).click();
  await signInThere(page, "cleo");
  await page.getByRole("link", { name: "Cancel" }).click();
  await page.getByText("The sign-in was cancelled or refused at the identity provider (access_denied").waitFor();
  await visited.screenshot("sign-in-refused");
  assert.equal(page.url(), `${server.url}/#/threads`);
  // An answer with another state, as an attacker would send it.
  await button(page).click();
  await page.getByRole("button", { name: "Continue" }).waitFor();
  await page.goto(`${server.url}/?code=stolen&state=wrong&iss=${encodeURIComponent(provider.url)}`);
  await page.getByText("The answer does not belong to this sign-in").waitFor();
  assert.equal(page.url(), `${server.url}/#/threads`);
  // The pending sign-in was used up. An answer that no sign-in of this tab expects is refused, too.
  await page.goto(`${server.url}/?code=stolen&state=wrong&iss=${encodeURIComponent(provider.url)}`);
  await page.getByText("This tab did not begin this sign-in").waitFor();
  // An answer that names another issuer (RFC 9207).
  await button(page).click();
  await page.getByRole("button", { name: "Continue" }).waitFor();
  const { state } = JSON.parse(await stateOf(visited));
  await page.goto(`${server.url}/?code=stolen&state=${state}&iss=${encodeURIComponent("https://other.example")}`);
  await page.getByText('unexpected "iss"').waitFor();
  assert.deepEqual([provider.granted, provider.refused.length], [[], 0], "no code reached the provider");
  provider.allowsOrigin = false;
  await button(page).click();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText(`must add ${server.url} to the allowed origins`).waitFor();
  provider.allowsOrigin = true;
  await button(page).click();
  await page.getByRole("button", { name: "Continue" }).click();
  await heading(page, "What should the agent do?").waitFor();
  await visited.end(/CORS|ERR_FAILED/);
});

/** Returns the pending sign-in of the tab, which shows a page of the provider. */
async function stateOf(visited) {
  await visited.page.goto(`${server.url}/without.css`);
  return visited.page.evaluate(() => sessionStorage.getItem("runyard.sign_in"));
}

/** Returns the provider's answer to a sign-in that must not ask the user. */
async function silentAnswer(visited) {
  const parameters = {
    client_id: CLIENT,
    response_type: "code",
    scope: "openid",
    redirect_uri: `${server.url}/`,
    code_challenge: "c".repeat(43),
    code_challenge_method: "S256",
    prompt: "none",
    state: "state",
  };
  const answer = await visited.context.request.get(`${provider.url}/auth?${new URLSearchParams(parameters)}`, { maxRedirects: 0 });
  return new URL(answer.headers().location).searchParams;
}

test("a sign-out ends the session here, in the other tabs and at the provider", LIMIT, async () => {
  const visited = await visit();
  const { page } = visited;
  await signIn(visited, "dora");
  await heading(page, "Threads").waitFor();
  const tab = await tabOf(visited);
  await heading(tab, "Threads").waitFor();
  const { grant } = await stored(page);
  assert.ok((await silentAnswer(visited)).has("code"), "the provider has a session");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Yes, sign me out" }).click();
  await button(page).waitFor();
  assert.equal(page.url(), `${server.url}/`);
  await button(tab).waitFor();
  for (const one of [page, tab]) {
    assert.equal(await one.evaluate(() => sessionStorage.length + localStorage.length), 0, "no tab keeps a token");
  }
  assert.equal((await silentAnswer(visited)).get("error"), "login_required");
  const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token: grant.refreshToken, client_id: CLIENT });
  const answer = await fetch(`${provider.url}/token`, { method: "POST", body });
  assert.equal((await answer.json()).error, "invalid_grant", "the refresh token is revoked");
  await button(page).click();
  await page.getByPlaceholder("Enter any login").waitFor();
  await visited.end();
});

test("if the browser stays on the page after a sign-out, one can sign in again", LIMIT, async () => {
  const visited = await visit();
  const { page, context } = visited;
  await signIn(visited, "finn");
  await heading(page, "Threads").waitFor();
  // The user stops the navigation.
  await context.route(`${provider.url}/session/end**`, (route) => route.abort("aborted"));
  await context.route(`${server.url}/console.json`, (route) => route.fulfill({ status: 503 }));
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("Signing out").waitFor();
  await button(page).click();
  await page.getByRole("button", { name: "Continue" }).waitFor();
  await visited.end(/503/);
});

test("while an expired token cannot be renewed, requests fail, but the user stays signed in", LIMIT, async () => {
  const visited = await visit();
  const { page, context } = visited;
  await signIn(visited, "gail", { place: "#/memory" });
  await page.getByRole("button", { name: "New memory" }).waitFor();
  await context.route(`${provider.url}/token`, (route) => route.fulfill({ status: 429, headers: { "access-control-allow-origin": "*" }, json: { error: "slow_down" } }));
  await expire(page);
  await page.reload();
  await page.getByRole("button", { name: "New memory" }).click();
  await page.getByRole("textbox", { name: "Text" }).fill("Gail is patient.");
  await page.getByRole("button", { name: "Create memory" }).click();
  await page.getByText("Your sign-in is being renewed").first().waitFor();
  await context.unroute(`${provider.url}/token`);
  await until("a renewal", async () => (await stored(page)).token !== "an.expired.token");
  await page.getByRole("button", { name: "Create memory" }).click();
  await page.getByRole("list", { name: "Memories" }).getByText("Gail is patient.").waitFor();
  await visited.end(/429/);
});

test("a page whose policy does not name the provider is loaded again for the renewal", LIMIT, async () => {
  const visited = await visit();
  const { page, context } = visited;
  await signIn(visited, "hugo");
  await heading(page, "Threads").waitFor();
  const withoutProvider = async (route) => {
    const response = await route.fetch();
    const policy = response.headers()["content-security-policy"].replace(` ${provider.url}`, "");
    await route.fulfill({ response, headers: { ...response.headers(), "content-security-policy": policy } });
  };
  await context.route(`${server.url}/`, withoutProvider, { times: 1 });
  await expire(page);
  await page.reload();
  // The page is loaded again meanwhile, and a function that Playwright waits for goes on in the new page.
  await page.waitForFunction(() => sessionStorage.getItem("runyard.token") !== "an.expired.token");
  await heading(page, "Threads").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.getItem("runyard.reloaded")), null);
  await visited.end(/Content Security Policy/);
});

test("a token can be pasted instead, and the page fits in both themes", LIMIT, async () => {
  for (const [name, viewport, colorScheme] of [
    ["desktop-light", { width: 1440, height: 900 }, "light"],
    ["desktop-dark", { width: 1440, height: 900 }, "dark"],
    ["phone-light", { width: 390, height: 844 }, "light"],
    ["phone-dark", { width: 390, height: 844 }, "dark"],
  ]) {
    const visited = await visit({ viewport, colorScheme });
    const { page } = visited;
    await page.goto(`${server.url}/`);
    await button(page).waitFor();
    await visited.screenshot(`sign-in-${name}`);
    await checkLayout(page, name);
    await visited.audit(`the sign-in page, ${name}`);
    await page.getByText("Use a token instead").click();
    await visited.screenshot(`sign-in-token-${name}`);
    await checkLayout(page, name);
    await visited.audit(`the sign-in page with the form for a token, ${name}`);
    if (name === "phone-dark") {
      const { token } = await server.ask({ do: "token", tier: "enterprise" });
      await page.getByLabel("Token").fill("not-a-token");
      await button(page, "Sign in with this token").click();
      await page.getByText("The server does not accept this token").waitFor();
      await page.getByLabel("Token").fill(token);
      await button(page, "Sign in with this token").click();
      await heading(page, "What should the agent do?").waitFor();
    }
    await visited.end(/401/);
  }
});

/** Returns the claims of the token in local storage, without opening the console. */
async function lastClaims(visited) {
  const page = await visited.context.newPage();
  await page.goto(`${server.url}/healthz`);
  const token = await page.evaluate(() => localStorage.getItem("runyard.token"));
  await page.close();
  return JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
}

test("an ID token can be used, one stays signed in on the device, and a refused token is explained", LIMIT, async () => {
  await restartWith(`audience = "${CLIENT}"\n[auth.sign_in]\nclient_id = "${CLIENT}"\nscopes = ["openid", "offline_access"]\nprompt = "consent"\ntoken = "id_token"\n`);
  const name = "Sign in with your identity provider";
  const visited = await visit();
  await visited.page.goto(`${server.url}/`);
  await visited.page.getByLabel("Keep me signed in on this device").check();
  await button(visited.page, name).click();
  await signInThere(visited.page, "emil");
  await visited.page.getByRole("button", { name: "Continue" }).click();
  await heading(visited.page, "What should the agent do?").waitFor();
  await visited.page.close();
  const later = await tabOf(visited);
  await heading(later, "Threads").waitFor();
  const grant = await later.evaluate(() => JSON.parse(localStorage.getItem("runyard.grant")));
  assert.equal(await later.evaluate(() => localStorage.getItem("runyard.token")), grant.idToken);
  await later.close();
  // While no tab is open, nothing renews the token. The next tab renews the expired token before its first request.
  provider.lifetime = 5;
  provider.granted = [];
  const short = await tabOf(visited);
  await short.evaluate((value) => localStorage.setItem("runyard.grant", value), JSON.stringify({ ...grant, expiresAt: Date.now(), lifetimeMs: 5_000 }));
  await short.reload();
  await heading(short, "Threads").waitFor();
  await until("a renewal", async () => {
    const renewed = await short.evaluate(() => JSON.parse(localStorage.getItem("runyard.grant")));
    return renewed.refreshToken !== grant.refreshToken;
  });
  assert.equal(provider.granted[0], "refresh_token");
  await short.close();
  const { exp } = await lastClaims(visited);
  await until("the token expires", () => Date.now() > exp * 1_000 + 1_000);
  provider.granted = [];
  const after = await tabOf(visited);
  await heading(after, "Threads").waitFor();
  await after.getByRole("link", { name: "Agents" }).first().click();
  await heading(after, "Agents").waitFor();
  // The pages show their headings before the answers of the server.
  await until("a renewal in the next tab", () => provider.granted.length > 0);
  assert.equal(provider.granted[0], "refresh_token");
  assert.equal(await after.evaluate(() => sessionStorage.length), 0, "the session is stored once");
  provider.lifetime = 3600;
  await visited.end();
  // Without a resource, this provider issues opaque access tokens.
  await restartWith(`audience = "${API}"\n[auth.sign_in]\nclient_id = "${CLIENT}"\n`);
  const opaque = await visit();
  await signIn(opaque, "emil", { name });
  await opaque.page.getByText("issued an opaque access token").waitFor();
  await opaque.end();
  // The provider issues tokens for an API that is not this server.
  await restartWith(SETTINGS.replace(`audience = "${API}"`, 'audience = "https://other.example"'));
  const other = await visit();
  await signIn(other, "emil");
  await other.page.getByText("this server does not accept the token").waitFor();
  assert.equal(await other.page.evaluate(() => sessionStorage.length), 0);
  await other.end(/401/);
  // The server cannot load the discovery document.
  await provider.close();
  await restartWith(SETTINGS);
  const offline = await visit();
  await offline.page.goto(`${server.url}/`);
  await button(offline.page).click();
  await offline.page.getByText("does not know the sign-in page").waitFor();
  await offline.end();
});
