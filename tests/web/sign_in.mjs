// Steps of the sign-in tests: the pages of the provider, and the session that the console stores.

import assert from "node:assert/strict";
import { PATIENCE_MS } from "./browser.mjs";

/** Signs in at the provider's pages, as a person does. */
export async function signInThere(page, login) {
  await page.getByPlaceholder("Enter any login").fill(login);
  await page.getByPlaceholder("and password").fill("any password");
  await page.getByRole("button", { name: "Sign-in" }).click();
}

/** The session in the storage of the tab. */
export const stored = (page) => page.evaluate(() => ({ token: sessionStorage.getItem("runyard.token"), grant: JSON.parse(sessionStorage.getItem("runyard.grant")) }));

/** Replaces the token of the page by one that has expired. */
export const expire = (page) =>
  page.evaluate(() => {
    const grant = JSON.parse(sessionStorage.getItem("runyard.grant"));
    sessionStorage.setItem("runyard.token", "an.expired.token");
    sessionStorage.setItem("runyard.grant", JSON.stringify({ ...grant, expiresAt: Date.now() }));
  });

/** Waits until the condition holds, which may call the page. */
export async function until(what, holds) {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    assert.ok(Date.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
