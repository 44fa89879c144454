// Tests which errors sign the user out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { RunyardError } from "@runyard/client";
import { explainError } from "../src/errors";
import { signIn, token } from "../src/session";

const REFUSED = new RunyardError({ errorCode: "NOT_AUTHENTICATED", kind: "unauthenticated", message: "the token has expired" });

test("a refused token signs the user out, unless it has expired and can be renewed", () => {
  Object.defineProperty(globalThis, "navigator", { value: { locks: {} }, configurable: true });
  for (const [leftMs, refreshToken, title] of [
    [-1, "refresh", "Your sign-in is being renewed"],
    [60_000, "refresh", "The token is not valid"],
    [-1, null, "The token is not valid"],
  ] as const) {
    const grant = { id: "a", expiresAt: Date.now() + leftMs, lifetimeMs: 60_000, refreshToken, idToken: null };
    signIn({ token: "token", grant }, false);
    assert.equal(explainError(REFUSED)?.title, title);
    assert.equal(token.value === null, title === "The token is not valid");
  }
});
