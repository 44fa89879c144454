// Tests share links in Chromium with a real server: the dialog of the owner, and the page of a reader.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Runyard } from "../../clients/typescript/dist/index.js";
import { PHONE } from "./browser.mjs";
import { checkLayout, DESKTOPS, PHONES } from "./layout.mjs";
import { LIMIT, setUp } from "./setup.mjs";

const ANSWER = "# Result\\n\\nThe **total** is 42.\\n\\n| city | people |\\n|---|---|\\n| Bern | 134 |\\n\\n```python\\nprint(42)\\n```";
const LONG_WORD = "supercalifragilistic".repeat(8);

const yard = setUp();

/** A thread with a file, a tool call, a Markdown answer and a later message. */
async function filled(client) {
  const run = await client.agents.run({
    prompt: `bash: echo CANARY-$((40 + 2))\nsay: ${ANSWER}`,
    files: [new File(["CANARY-CONTENT"], "notes.txt")],
  });
  assert.equal((await run.wait()).status, "completed");
  await client.threads.update(run.threadId, { name: "People per city" });
  await client.threads.addMessage(run.threadId, { content: `Add the cantons, please. ${LONG_WORD}` });
  return run.threadId;
}

async function openDialog(page) {
  await page.getByRole("heading", { name: "People per city" }).waitFor();
  await page.locator("summary", { has: page.locator("svg") }).and(page.getByLabel("Thread actions")).click();
  await page.getByRole("button", { name: "Share", exact: true }).click();
  return page.getByRole("dialog", { name: "Share this thread" });
}

test("a thread is shared in its menu, read without signing in, and no longer readable after the link is revoked", LIMIT, async () => {
  const { token, client } = await yard.account();
  const threadId = await filled(client);
  const visited = await yard.begin({ permissions: ["clipboard-read", "clipboard-write"] });
  const { page } = visited;
  let link;
  try {
    await visited.signIn(token, `#/threads/${threadId}`);
    const dialog = await openDialog(page);
    await dialog.getByText("This thread has no links yet.").waitFor();
    await dialog.getByText("Everybody who has the link can read").waitFor();
    await visited.screenshot("share-dialog-empty");
    await dialog.getByLabel("The link expires").selectOption({ label: "In 7 days" });
    await dialog.getByRole("button", { name: "Create link" }).click();
    link = await dialog.getByRole("textbox", { name: "Link" }).inputValue();
    assert.match(link, /\/#\/shared\/rys_[\w-]{54}$/);
    await dialog.getByRole("button", { name: "Copy" }).click();
    await visited.until("the link is copied", async () => (await page.evaluate(() => navigator.clipboard.readText())) === link);
    const [share] = await client.shares.list({ threadId }).all();
    const days = (share.expiresAt - share.createdAt) / 86_400_000;
    assert.ok(days > 6.9 && days < 7.1, `${days}`);
    const row = dialog.getByRole("list", { name: "Links" }).getByRole("listitem");
    await row.getByText(/Created .* · expires /).waitFor();
    assert.ok(!(await row.textContent()).includes(link.slice(-43)), "the list shows the token");
    await visited.screenshot("share-dialog");
    await visited.audit("the dialog of a share");
    await page.setViewportSize(PHONE);
    await visited.screenshot("share-dialog-phone");
    await page.emulateMedia({ colorScheme: "dark" });
    await visited.screenshot("share-dialog-phone-dark");
    await visited.audit("the dialog of a share in the dark");
    await checkLayout(page, "the dialog of a share");

    const reader = await yard.begin();
    try {
      await reader.page.goto(link);
      await reader.page.getByRole("heading", { name: "People per city" }).waitFor();
      await reader.page.getByText("Shared from Runyard").waitFor();
      await reader.page.getByRole("cell", { name: "Bern" }).waitFor();
      await reader.page.getByText("notes.txt", { exact: true }).waitFor();
      await reader.page.getByText("Add the cantons, please.").waitFor();
      await reader.until("the title of the page", async () => (await reader.page.title()) === "People per city · Runyard");
      const text = await reader.page.locator("body").innerText();
      assert.ok(!text.includes("CANARY-42") && !text.includes("CANARY-CONTENT"), text);
      for (const [scheme, sizes] of [
        ["light", [...DESKTOPS, ...PHONES]],
        ["dark", [DESKTOPS[0], PHONE]],
      ]) {
        await reader.page.emulateMedia({ colorScheme: scheme });
        for (const size of sizes) {
          await reader.page.setViewportSize(size);
          await checkLayout(reader.page, `a shared thread in ${scheme}`);
          if ([1440, 390].includes(size.width)) await reader.screenshot(`shared-${size.width}-${scheme}`);
        }
        await reader.audit(`a shared thread in ${scheme}`);
      }

      // A new message appears when the page is loaded again.
      await client.threads.addMessage(threadId, { content: "One more message." });
      await reader.page.reload();
      await reader.page.getByText("One more message.").waitFor();

      await row.getByRole("button", { name: "Revoke" }).click();
      const sure = page.getByRole("dialog", { name: "Revoke this link?" });
      await sure.waitFor();
      await visited.screenshot("share-revoke-phone-dark");
      await sure.getByRole("button", { name: "Revoke" }).click();
      await dialog.getByText("This thread has no links yet.").waitFor();
      assert.equal(await dialog.getByRole("textbox", { name: "Link" }).count(), 0, "a revoked link is still shown");
      await reader.page.reload();
      await reader.page.getByRole("heading", { name: "This link does not work" }).waitFor();
      assert.equal(await reader.page.getByText("People per city").count(), 0);
      await reader.audit("a link that does not work");
      await reader.screenshot("shared-gone-390-dark");
      await reader.page.emulateMedia({ colorScheme: "light" });
      await reader.page.setViewportSize(DESKTOPS[0]);
      await reader.screenshot("shared-gone-1440-light");
      await checkLayout(reader.page, "a link that does not work");
    } finally {
      await reader.end();
    }
  } finally {
    await visited.end();
  }
});

test("signed-in people read a shared thread and return to their console", LIMIT, async () => {
  const { token: owner } = await yard.server.ask({ do: "token", tier: "enterprise" });
  const { token: other } = await yard.server.ask({ do: "token", tier: "enterprise" });
  const client = new Runyard({ baseUrl: yard.server.url, token: owner });
  const { threadId } = await client.threads.create({ name: "Plans" });
  // More messages than one page of the console.
  for (let number = 0; number < 130; number += 1) {
    await client.threads.addMessage(threadId, { content: `Message ${number}.` });
  }
  const { token } = await client.shares.create(threadId);
  const visited = await yard.begin();
  const { page } = visited;
  try {
    await visited.signIn(other);
    await visited.go(`#/shared/${token}`);
    await page.getByRole("heading", { name: "Plans" }).waitFor();
    await page.getByText("Message 99.").waitFor();
    assert.equal(await page.getByText("Message 100.").count(), 0);
    await page.getByRole("button", { name: "Show later messages" }).click();
    await page.getByText("Message 129.").waitFor();
    assert.equal(await page.getByRole("button", { name: "Show later messages" }).count(), 0);
    await page.getByRole("link", { name: "Runyard" }).click();
    await page.getByRole("heading", { name: "What should the agent do?" }).waitFor();
    await visited.go("#/shared/rys_nothing");
    await page.getByRole("heading", { name: "This link does not work" }).waitFor();
  } finally {
    await visited.end();
  }
});
