// Tests the page of the webhooks in Chromium with a real server.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PHONE } from "./browser.mjs";
import { checkLayout } from "./layout.mjs";
import { LIMIT, setUp } from "./setup.mjs";

const URL = "https://hooks.example.com/one";

const yard = setUp();

test("a webhook is created, changed, disabled and deleted, and its secrets are shown once", LIMIT, async () => {
  const { token, client } = await yard.account();
  const visited = await yard.begin();
  const { page } = visited;
  try {
    await visited.signIn(token, "#/webhooks");
    await page.getByRole("heading", { name: "No webhooks yet" }).waitFor();
    await page.getByRole("button", { name: "New webhook" }).click();
    let dialog = page.getByRole("dialog", { name: "New webhook" });
    await dialog.getByLabel("URL").fill("https://127.0.0.1/");
    await dialog.getByRole("button", { name: "Create webhook" }).click();
    await dialog.getByRole("alert").waitFor();
    await dialog.getByLabel("URL").fill(URL);
    await dialog.getByRole("checkbox", { name: "run.waiting" }).uncheck();
    await visited.screenshot("webhook-editor");
    await visited.audit("the editor of a webhook");
    await dialog.getByRole("button", { name: "Create webhook" }).click();
    const shown = page.getByRole("dialog", { name: "Signing secret" });
    const first = await shown.getByRole("textbox", { name: "Signing secret" }).inputValue();
    await visited.audit("a new secret");
    await shown.getByRole("button", { name: "Done" }).click();
    await shown.waitFor({ state: "detached" });
    const row = page.getByRole("list", { name: "Webhooks" }).getByRole("listitem").filter({ hasText: "hooks.example.com" });
    await row.getByText("run.completed, run.failed, run.stopped", { exact: true }).waitFor();

    await row.getByRole("button", { name: `Edit ${URL}` }).click();
    dialog = page.getByRole("dialog", { name: "Edit webhook" });
    assert.equal(await dialog.getByLabel("URL").inputValue(), URL);
    assert.equal(await dialog.getByRole("checkbox", { name: "run.waiting" }).isChecked(), false);
    await dialog.getByRole("checkbox", { name: "run.stopped" }).uncheck();
    // Cancel keeps the webhook as it is.
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await dialog.waitFor({ state: "detached" });
    assert.equal((await client.webhooks.list().all())[0].events.length, 3);
    await row.getByRole("button", { name: `Edit ${URL}` }).click();
    await dialog.getByRole("checkbox", { name: "run.stopped" }).uncheck();
    await dialog.getByRole("button", { name: "Save" }).click();
    await row.getByText("run.completed, run.failed", { exact: true }).waitFor();
    assert.equal(await page.getByRole("dialog").count(), 0, "a change shows no secret");

    await row.getByRole("button", { name: "Rotate secret" }).click();
    assert.notEqual(await shown.getByRole("textbox", { name: "Signing secret" }).inputValue(), first);
    await page.keyboard.press("Escape");
    await row.getByRole("button", { name: "Disable" }).click();
    await row.getByText("Disabled").waitFor();
    assert.ok(await row.getByRole("button", { name: "Send a test" }).isDisabled());
    await row.getByRole("button", { name: "Deliveries" }).click();
    await row.getByRole("region", { name: "Deliveries" }).getByText("No deliveries yet.").waitFor();
    await page.setViewportSize(PHONE);
    await checkLayout(page, "webhooks on a phone");
    await visited.screenshot("webhooks-phone");
    await row.getByRole("button", { name: `Delete ${URL}` }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("heading", { name: "No webhooks yet" }).waitFor();
  } catch (error) {
    await visited.screenshot(`failed-${Date.now()}`).catch(() => {});
    throw new Error(`${error.message}\nThe page did: ${visited.wrong.join("\n") || "nothing wrong"}`, { cause: error });
  }
  assert.deepEqual(await client.webhooks.list().all(), []);
  await visited.end(/status of 4\d\d/);
});
