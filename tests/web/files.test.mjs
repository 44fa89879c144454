// Tests the previews of workspace files in Chromium with a real server: images, tables, trees, colours and their width.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Runyard } from "../../clients/typescript/dist/index.js";
import { Server } from "../../clients/typescript/tests/server.mjs";
import { CONSOLE_DIR, PHONE, startBrowser, Visit } from "./browser.mjs";
import { checkLayout } from "./layout.mjs";

const LIMIT = { timeout: 400_000 };
const CHART = '<svg xmlns="http://www.w3.org/2000/svg" width="900" height="600"><rect width="900" height="600" fill="#0b6650"/></svg>';
const FILES = {
  "chart.svg": CHART,
  "data.json": JSON.stringify({ name: "Ann", list: Array.from({ length: 250 }, (_, at) => ({ at })), "<b>": "<img src=x>" }),
  "rows.jsonl": '{"a": 1}\n{"a": 2}\n',
  "broken.json": '{"a": ',
  "sales.csv": "region,units\nNorth,1\nSouth,2\n",
  "plan.py": 'def plan(name):\n    """Says <b>hello</b>."""\n    return f"hello {name}"  # done\n',
};

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

/** The page of a thread whose workspace holds `FILES`. */
async function visit(doing, options = {}) {
  const { token } = await server.ask({ do: "token", tier: "enterprise" });
  const client = new Runyard({ baseUrl: server.url, token });
  const files = Object.entries(FILES).map(([name, text]) => ({ name, data: new TextEncoder().encode(text) }));
  const run = await client.agents.run({ prompt: "bash: ls\nsay: ```python\\nprint(1)  # note\\n```", files });
  await run.wait();
  const visited = await Visit.begin(browser, server.url, options);
  const open = async (name) => {
    await visited.page.getByRole("region", { name: "Files" }).getByRole("button", { name: new RegExp(`^${name.replace(".", "\\.")}`) }).click();
    return visited.page.getByRole("region", { name: `Preview of ${name}` });
  };
  try {
    await visited.signIn(token, `#/threads/${run.threadId}`);
    await visited.run("completed").waitFor();
    await doing(visited, visited.page, open);
  } catch (error) {
    await visited.screenshot(`failed-${Date.now()}`).catch(() => {});
    await visited.context.close();
    throw new Error(`${error.message}\nThe page did: ${visited.wrong.join("\n") || "nothing wrong"}`, { cause: error });
  }
  await visited.end();
}

for (const colorScheme of ["light", "dark"]) {
  test(`an image is enlarged, and a table, a tree and a source are shown, in ${colorScheme} colours`, LIMIT, async () => {
    await visit(
      async (visited, page, open) => {
        let preview = await open("chart.svg");
        await preview.getByRole("button", { name: "Enlarge chart.svg" }).click();
        const dialog = page.getByRole("dialog", { name: "chart.svg" });
        const picture = dialog.getByRole("img");
        await picture.waitFor();
        const width = () => picture.evaluate((image) => image.getBoundingClientRect().width);
        assert.ok((await width()) > 1000, "the image fills the window");
        await visited.screenshot(`enlarged-${colorScheme}`);
        await visited.audit("an enlarged image");
        await dialog.getByRole("button", { name: "Original size" }).click();
        await visited.until("the image has its own size", async () => (await width()) === 900);
        await page.keyboard.press("Escape");
        await dialog.waitFor({ state: "detached" });

        preview = await open("sales.csv");
        await preview.getByRole("table").getByText("South").waitFor();
        await preview.getByRole("button", { name: "Text" }).click();
        await preview.getByRole("group", { name: "Text of sales.csv" }).getByText("North,1").waitFor();

        preview = await open("data.json");
        const tree = preview.getByRole("group", { name: "JSON" });
        await tree.getByText('"Ann"').waitFor();
        await tree.getByText('"<img src=x>"').waitFor();
        assert.equal(await tree.getByText("[250 items]").count(), 1);
        await tree.getByText("[250 items]").click();
        await tree.getByText("{1 field}").nth(199).waitFor();
        assert.equal(await tree.getByText("{1 field}").count(), 200);
        await tree.getByRole("button", { name: "Show more (50 left)" }).click();
        await tree.getByText("{1 field}").nth(249).waitFor();
        await tree.getByText("{1 field}").first().click();
        await tree.getByText("at", { exact: true }).waitFor();
        await visited.screenshot(`tree-${colorScheme}`);
        await visited.audit("a tree");
        preview = await open("rows.jsonl");
        await preview.getByText("[2 items]").waitFor();
        preview = await open("broken.json");
        await preview.getByRole("group", { name: "Text of broken.json" }).getByText('{"a":').waitFor();

        preview = await open("plan.py");
        await preview.locator(".hljs-keyword", { hasText: "def" }).waitFor();
        assert.equal(await preview.locator(".lines").textContent(), FILES["plan.py"].trimEnd());
        await page.getByRole("list", { name: "Steps of the run" }).locator(".hljs-comment", { hasText: "# note" }).waitFor();
        await visited.screenshot(`colours-${colorScheme}`);
        await visited.audit("a source");
        await page.setViewportSize(PHONE);
        await checkLayout(page, "a source on a phone");
        await visited.screenshot(`colours-phone-${colorScheme}`);
      },
      { colorScheme },
    );
  });
}

test("the files are made wider by the mouse and by keys, and keep their width", LIMIT, async () => {
  await visit(async (visited, page, open) => {
    await open("plan.py");
    const line = page.getByRole("separator", { name: "Width of the files" });
    const width = () => page.getByRole("complementary", { name: "Workspace" }).evaluate((side) => side.getBoundingClientRect().width);
    const before = await width();
    const { x, y, height } = await line.boundingBox();
    await page.mouse.move(x + 4, y + height / 2);
    await page.mouse.down();
    await page.mouse.move(x - 250, y + height / 2, { steps: 5 });
    await page.mouse.up();
    assert.ok(Math.abs((await width()) - before - 254) < 12, `${before} became ${await width()}`);
    await checkLayout(page, "wide files");
    await visited.screenshot("wide-files");
    await visited.audit("wide files");
    const wide = await width();
    await page.reload();
    await visited.run("completed").waitFor();
    assert.ok(Math.abs((await width()) - wide) < 2, "a reload keeps the width");
    await line.focus();
    await page.keyboard.press("ArrowRight");
    assert.ok((await width()) < wide - 20, "the right arrow makes the files narrower");
    await page.keyboard.press("Home");
    assert.equal(await page.evaluate(() => localStorage.length), 0, "the default width is not stored");
  });
});
