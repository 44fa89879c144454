// Tests the page of administrators in Chromium with a real server, and that other callers do not see it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Runyard } from "../../clients/typescript/dist/index.js";
import { PHONE } from "./browser.mjs";
import { checkLayout } from "./layout.mjs";
import { LIMIT, setUp } from "./setup.mjs";

const yard = setUp();

/** The accounts `ann`, which has made a model call, and `bob`, and the token of an administrator. */
async function people() {
  const ann = await yard.server.client({ sub: "ann", tier: "enterprise" });
  await (await ann.agents.run({ prompt: "say: Hello." })).wait();
  const bob = await yard.server.client({ sub: "bob" });
  const states = [await ann.account.state(), await bob.account.state()];
  const { token } = await yard.server.ask({ do: "token", sub: "root", role: "super_admin" });
  return { ann, annId: states[0].accountId, bobId: states[1].accountId, token };
}

test("an administrator searches, suspends, resumes and changes accounts, and sees their usage", LIMIT, async () => {
  const { ann, annId, bobId, token } = await people();
  const before = await ann.account.state();
  await yard.visit(async (visited, page) => {
    await visited.signIn(token);
    await page.getByRole("navigation", { name: "Main", exact: true }).getByRole("link", { name: "Administration" }).click();
    await page.getByRole("heading", { level: 1, name: "Administration" }).waitFor();
    const table = page.getByRole("group", { name: "Accounts" });
    await table.getByRole("link", { name: "ann", exact: true }).waitFor();
    await table.getByRole("link", { name: "bob", exact: true }).waitFor();
    await visited.audit("the accounts");

    // Each filter: an id, the beginning of a subject, a tier, the last activity, and no match.
    const by = page.getByRole("combobox", { name: "Search by" });
    const text = page.getByRole("searchbox");
    const shown = async (...names) => {
      await visited.until(`the accounts ${names}`, async () => {
        const links = await table.getByRole("link").allInnerTexts();
        return JSON.stringify(links.sort()) === JSON.stringify(names);
      });
    };
    await by.selectOption("Id or subject");
    await text.fill(bobId);
    await page.keyboard.press("Enter");
    await shown("bob");
    await text.fill("an");
    await page.getByRole("button", { name: "Search", exact: true }).click();
    await shown("ann");
    await text.fill("zed");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "No accounts found" }).waitFor();
    await by.selectOption("Tier");
    await text.fill("enterprise");
    await page.keyboard.press("Enter");
    await shown("ann");
    await by.selectOption("Not active since");
    assert.ok(await page.getByRole("button", { name: "Search", exact: true }).isDisabled(), "a search by day needs a day");
    await page.getByLabel("Day").fill("2020-01-01");
    await page.getByRole("button", { name: "Search", exact: true }).click();
    await page.getByRole("heading", { name: "No accounts found" }).waitFor();
    await by.selectOption("Active since");
    await page.getByLabel("Day").fill("2020-01-01");
    await page.getByRole("button", { name: "Search", exact: true }).click();
    await table.getByRole("link", { name: "ann", exact: true }).click();

    // The account: its usage, a grant and another tier.
    await page.getByRole("heading", { level: 1, name: "ann" }).waitFor();
    await page.getByRole("group", { name: "Model calls, newest first" }).getByText("kortix/basic").first().waitFor();
    await page.getByRole("button", { name: "Grant credits" }).click();
    let dialog = page.getByRole("dialog", { name: "Grant credits" });
    const confirm = dialog.getByRole("button", { name: "Grant credits" });
    await dialog.getByLabel("Credits").fill("1.5");
    assert.ok(await confirm.isDisabled());
    await dialog.getByLabel("Credits").fill("250");
    await dialog.getByLabel("Reason").fill("A gift");
    await visited.audit("the grant of credits");
    await confirm.click();
    await dialog.waitFor({ state: "detached" });
    const details = page.locator(".account-facts");
    assert.equal((await ann.account.state()).microcredits - before.microcredits, 250_000_000);
    await page.getByRole("button", { name: "Set tier" }).click();
    dialog = page.getByRole("dialog", { name: "Set the tier" });
    await dialog.getByLabel("Tier").fill("no-such-tier");
    await dialog.getByRole("button", { name: "Set tier" }).click();
    await dialog.getByRole("alert").waitFor();
    await dialog.getByLabel("Tier").fill("free");
    await dialog.getByRole("button", { name: "Set tier" }).click();
    await dialog.waitFor({ state: "detached" });
    await details.getByText("free", { exact: true }).waitFor();
    assert.equal((await ann.account.state()).tierName, "free");

    // The suspension with its reason. Cancel changes nothing.
    await page.getByRole("button", { name: "Suspend", exact: true }).click();
    dialog = page.getByRole("dialog", { name: "Suspend this account?" });
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await dialog.waitFor({ state: "detached" });
    assert.equal((await ann.account.state()).accountId, annId);
    await page.getByRole("button", { name: "Suspend", exact: true }).click();
    await dialog.getByLabel("Reason").fill("Unpaid bill");
    await dialog.getByRole("button", { name: "Suspend" }).click();
    await page.getByText(/^Suspended since/).waitFor();
    await page.getByText("Unpaid bill").waitFor();
    await assert.rejects(ann.account.state(), { errorCode: "ACCOUNT_SUSPENDED" });
    await visited.audit("a suspended account");
    await visited.screenshot("administration-suspended");
    await page.setViewportSize(PHONE);
    await checkLayout(page, "a suspended account on a phone");
    await visited.screenshot("administration-suspended-phone");
    await visited.go("#/administration");
    await by.selectOption("Suspended");
    await shown("ann");
    await table.getByRole("link", { name: "ann" }).click();
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("button", { name: "Suspend", exact: true }).waitFor();
    assert.equal((await ann.account.state()).accountId, annId);

    // Administrators cannot suspend themselves: the dialog shows the error.
    await visited.go("#/administration");
    await table.getByRole("link", { name: "root" }).click();
    await page.getByRole("button", { name: "Suspend", exact: true }).click();
    await dialog.getByRole("button", { name: "Suspend" }).click();
    await dialog.getByRole("alert").waitFor();
  });
});

test("an ordinary account and an administrator's narrow API key do not see the page", LIMIT, async () => {
  const { token } = await yard.account();
  const { token: root } = await yard.server.ask({ do: "token", sub: "root", role: "super_admin" });
  const { secret } = await new Runyard({ baseUrl: yard.server.url, token: root }).apiKeys.create({ name: "Reader", scopes: ["read"] });
  // The administrator is the control: the same steps show the page.
  for (const [credential, isShown] of [[token, false], [secret, false], [root, true]]) {
    await yard.visit(async (visited, page) => {
      const [answer] = await Promise.all([page.waitForResponse(/AdminService\/ListAccounts$/), visited.signIn(credential)]);
      await answer.finished();
      await visited.go("#/administration");
      await page.getByRole("heading", { level: 1, name: isShown ? "Administration" : "Page not found" }).waitFor();
      assert.equal(await page.getByRole("link", { name: "Administration", exact: true }).count() > 0, isShown);
      await visited.go("#/administration/00000000-0000-7000-8000-000000000000");
      await (isShown ? page.getByRole("alert") : page.getByRole("heading", { level: 1, name: "Page not found" })).waitFor();
      await page.keyboard.press("Control+k");
      const dialog = page.getByRole("dialog", { name: "Go to" });
      await dialog.getByRole("combobox").fill("Admin");
      await (isShown ? dialog.getByRole("option", { name: /^Administration/ }) : dialog.getByText("No results.")).waitFor();
    });
  }
});
