import assert from "node:assert/strict";
import { test } from "node:test";
import * as oauth from "oauth4webapi";
import { explainRenewal, explainSignIn, isPassing } from "../src/view/sign_in";

const PLACE = { tokenEndpoint: "https://login.example/token", origin: "https://runyard.example" };
const SERVER = { issuer: "https://login.example", authorization_endpoint: "https://login.example/authorize", token_endpoint: PLACE.tokenEndpoint };
const CLIENT = { client_id: "console" };

/** The error that the library throws for this answer in the address. */
function refusedBy(answer: Record<string, string>): unknown {
  try {
    oauth.validateAuthResponse({ ...SERVER, authorization_response_iss_parameter_supported: true }, CLIENT, new URLSearchParams(answer), "state");
  } catch (error) {
    return error;
  }
  return assert.fail("the library accepted the answer");
}

/** The error that the library throws for this answer of the token endpoint. */
async function refusedToken(status: number, body: object | string): Promise<unknown> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = new Response(text, { status, headers: { "content-type": "application/json" } });
  return oauth.processRefreshTokenResponse(SERVER, CLIENT, response).then(() => assert.fail("the library accepted the answer"), (error: unknown) => error);
}

test("a refusal of the provider is explained with its error and its description", () => {
  const iss = SERVER.issuer;
  for (const [error, words] of [
    ["access_denied", /cancelled or refused at the identity provider \(access_denied: No\)/],
    ["login_required", /needs you to sign in there/],
    ["server_error", /has a problem/],
    ["invalid_scope", /auth\.sign_in\.scopes/],
    ["invalid_target", /auth\.sign_in\.resource/],
    ["unauthorized_client", /public client/],
    ["something_else", /refused the sign-in \(something_else: No\)/],
  ] as const) {
    assert.match(explainSignIn(refusedBy({ iss, state: "state", error, error_description: "No" }), PLACE), words);
  }
  const long = explainSignIn(refusedBy({ iss, state: "state", error: "odd", error_description: "x".repeat(5_000) }), PLACE);
  assert.ok(long.length < 400, long);
});

test("an answer with another state or issuer is refused, and its text is not shown", () => {
  const answers: Record<string, string>[] = [
    { iss: SERVER.issuer, state: "other", error: "access_denied", error_description: "call this number" },
    { iss: SERVER.issuer, error: "access_denied", error_description: "call this number" },
    { iss: "https://other.example", state: "state", code: "call this number" },
    { state: "state", code: "call this number" },
  ];
  for (const answer of answers) {
    const explained = explainSignIn(refusedBy(answer), PLACE);
    assert.match(explained, /does not belong to this sign-in/);
    assert.doesNotMatch(explained, /number/);
  }
});

test("only failures that may pass are tried again", async () => {
  const network = new TypeError("Failed to fetch");
  assert.match(explainSignIn(network, PLACE), /must add https:\/\/runyard\.example to the allowed origins/);
  assert.match(explainSignIn(new DOMException("late", "TimeoutError"), PLACE), /did not answer in time/);
  for (const [error, passes] of [
    [network, true],
    [new DOMException("late", "TimeoutError"), true],
    [await refusedToken(503, "down"), true],
    [await refusedToken(408, "late"), true],
    [await refusedToken(429, "slow down"), true],
    [await refusedToken(429, { error: "slow_down" }), true],
    [await refusedToken(400, { error: "temporarily_unavailable" }), true],
    [await refusedToken(400, { error: "invalid_grant" }), false],
    [await refusedToken(400, { error: "invalid_client" }), false],
    [await refusedToken(404, "nothing"), false],
    [await refusedToken(200, { access_token: 5 }), false],
  ] as const) {
    assert.equal(isPassing(error), passes, String(error));
  }
});

test("a failed renewal says why the user is signed out", async () => {
  const ended = await refusedToken(400, { error: "invalid_grant", error_description: "grant not found" });
  assert.equal(explainRenewal(ended, PLACE), "Your session at the identity provider has ended (grant not found). Sign in again.");
  assert.match(explainRenewal(new TypeError("Failed to fetch"), PLACE), /could not be renewed\. The browser could not reach/);
});

test("a wrong clock is explained", async () => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = (exp: number) => ({ iss: SERVER.issuer, sub: "ann", aud: "console", iat: exp - 60, exp });
  const tokens = (exp: number) => ({ access_token: "a", token_type: "bearer", id_token: `${part({ alg: "RS256" })}.${part(claims(exp))}.c2ln` });
  const now = Math.floor(Date.now() / 1_000);
  const good = new Response(JSON.stringify(tokens(now + 60)), { headers: { "content-type": "application/json" } });
  assert.equal((await oauth.processRefreshTokenResponse(SERVER, CLIENT, good)).access_token, "a");
  assert.match(explainSignIn(await refusedToken(200, tokens(now - 3_600)), PLACE), /clock of this device/);
});
