// Tests the previews of workspace files in Chromium with a real server: images, tables, trees, colours and their width.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PHONE } from "./browser.mjs";
import { checkLayout } from "./layout.mjs";
import { LIMIT, setUp } from "./setup.mjs";

const CHART = '<svg xmlns="http://www.w3.org/2000/svg" width="900" height="600"><rect width="900" height="600" fill="#0b6650"/></svg>';
const FILES = {
  "chart.svg": CHART,
  "data.json": JSON.stringify({ name: "Ann", list: Array.from({ length: 250 }, (_, at) => ({ at })), "<b>": "<img src=x>" }),
  "rows.jsonl": '{"a": 1}\n{"a": 2}\n',
  "broken.json": '{"a": ',
  "sales.csv": "region,units\nNorth,1\nSouth,2\nEast,10\n",
  "list.json": JSON.stringify([{ name: "Ann", age: 31 }, { name: "Bob", age: 4 }]),
  "study.ipynb": JSON.stringify({
    nbformat: 4,
    metadata: { language_info: { name: "python" } },
    cells: [
      { cell_type: "markdown", source: "# A study\n\n<b>No HTML</b>" },
      {
        cell_type: "code",
        execution_count: 7,
        source: "def f():\n    return 1",
        outputs: [
          { output_type: "stream", name: "stdout", text: "hello from the cell" },
          { output_type: "display_data", data: { "image/svg+xml": CHART, "text/plain": "<Figure>" } },
          { output_type: "error", ename: "ValueError", evalue: "bad", traceback: ["\u001b[31mValueError\u001b[0m: bad"] },
        ],
      },
    ],
  }),
  "report.pdf": pdf(["First page", "Second page", "Third page"]),
  "broken.pdf": "%PDF-1.7 not a document",
  "plan.py": 'def plan(name):\n    """Says <b>hello</b>."""\n    return f"hello {name}"  # done\n',
};

/** A PDF with one line of text per page, on A4 paper. */
function pdf(lines) {
  const pages = lines.map((_, at) => `${4 + 2 * at} 0 R`);
  const objects = ["<</Type/Catalog/Pages 2 0 R>>", `<</Type/Pages/Kids[${pages.join(" ")}]/Count ${lines.length}>>`, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"];
  for (const [at, line] of lines.entries()) {
    const content = `0.04 0.4 0.31 rg 60 500 300 200 re f 0 g BT /F1 36 Tf 60 740 Td (${line}) Tj ET`;
    objects.push(`<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>/Contents ${5 + 2 * at} 0 R>>`, `<</Length ${content.length}>>stream\n${content}\nendstream`);
  }
  let text = "%PDF-1.4\n";
  const places = objects.map((object, at) => {
    const place = text.length;
    text += `${at + 1} 0 obj${object}endobj\n`;
    return `${String(place).padStart(10, "0")} 00000 n \n`;
  });
  return `${text}xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${places.join("")}trailer<</Size ${objects.length + 1}/Root 1 0 R>>\nstartxref\n${text.length}\n%%EOF`;
}

const yard = setUp();

/** The page of a thread whose workspace holds `FILES`. */
async function visit(doing, options = {}) {
  const { token, client } = await yard.account();
  const files = Object.entries(FILES).map(([name, text]) => ({ name, data: new TextEncoder().encode(text) }));
  const run = await client.agents.run({ prompt: "bash: ls\nsay: ```python\\nprint(1)  # note\\n```", files });
  await run.wait();
  const visited = await yard.begin(options);
  const open = async (name) => {
    await visited.page.getByRole("region", { name: "Files" }).getByRole("button", { name: new RegExp(`^${name.replace(".", "\\.")}`) }).click();
    return visited.page.getByRole("region", { name: `Preview of ${name}` });
  };
  await visited.attempt(async () => {
    await visited.signIn(token, `#/threads/${run.threadId}`);
    await visited.run("completed").waitFor();
    await doing(visited, visited.page, open);
  });
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

        // A click on the head of a column sorts its rows.
        await preview.getByRole("button", { name: "Table" }).click();
        const firstCells = () => preview.locator("tbody td:first-child").allInnerTexts();
        assert.deepEqual(await firstCells(), ["North", "South", "East"]);
        const units = preview.getByRole("columnheader", { name: "units" });
        await units.getByRole("button").click();
        assert.equal(await units.getAttribute("aria-sort"), "ascending");
        assert.deepEqual(await firstCells(), ["North", "South", "East"]);
        await units.getByRole("button").click();
        assert.deepEqual(await firstCells(), ["East", "South", "North"]);
        await visited.screenshot(`table-${colorScheme}`);
        await visited.audit("a sorted table");
        await units.getByRole("button").click();
        assert.equal(await units.getAttribute("aria-sort"), "none");

        preview = await open("list.json");
        await preview.getByRole("columnheader", { name: "age" }).getByRole("button").click();
        assert.deepEqual(await firstCells(), ["Bob", "Ann"]);
        await preview.getByRole("button", { name: "Tree" }).click();
        await preview.getByText("[2 items]").waitFor();

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
        await preview.getByRole("columnheader", { name: "a" }).waitFor();
        await preview.getByRole("button", { name: "Tree" }).click();
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
    await (await open("plan.py")).waitFor();
    const line = page.getByRole("separator", { name: "Width of the files" });
    const width = () => page.getByRole("complementary", { name: "Workspace" }).evaluate((side) => side.getBoundingClientRect().width);
    const before = await width();
    const { x, y, height } = await line.boundingBox();
    await page.mouse.move(x + 4, y + height / 2);
    await page.mouse.down();
    await page.mouse.move(x - 250, y + height / 2, { steps: 5 });
    await page.mouse.up();
    await visited.until("the files are 254 pixels wider", async () => Math.abs((await width()) - before - 254) < 12);
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

for (const colorScheme of ["light", "dark"]) {
  test(`a notebook and a PDF are shown, in ${colorScheme} colours`, LIMIT, async () => {
    await visit(
      async (visited, page, open) => {
        let preview = await open("study.ipynb");
        const notebook = preview.getByRole("group", { name: "Notebook" });
        await notebook.getByRole("heading", { name: "A study" }).waitFor();
        await notebook.getByText("<b>No HTML</b>").waitFor();
        const cell = notebook.getByRole("region", { name: "Cell 7" });
        await cell.locator(".hljs-keyword", { hasText: "def" }).waitFor();
        await cell.getByText("hello from the cell").waitFor();
        await cell.getByText("ValueError: bad").waitFor();
        const picture = cell.getByRole("img", { name: "<Figure>" });
        await visited.until("the plot is drawn", () => picture.evaluate((image) => image.naturalWidth === 900));
        await visited.screenshot(`notebook-${colorScheme}`);
        await visited.audit("a notebook");
        await preview.getByRole("button", { name: "Text" }).click();
        await preview.getByRole("group", { name: "Text of study.ipynb" }).getByText("nbformat").first().waitFor();

        preview = await open("report.pdf");
        await preview.getByText("3 pages").waitFor();
        const first = preview.getByRole("group", { name: "Page 1" });
        await first.getByText("First page").waitFor();
        // The colour of a pixel inside the rectangle of the page.
        const colour = () => first.locator("canvas").evaluate((canvas) => [...canvas.getContext("2d").getImageData(canvas.width * 0.3, canvas.height * 0.3, 1, 1).data]);
        // The page is drawn again when its width changes.
        await visited.until("the rectangle is drawn", async () => (await colour()).join() === "10,102,79,255");
        await visited.screenshot(`pdf-${colorScheme}`);
        await visited.audit("a PDF");
        await preview.getByRole("group", { name: "Page 3" }).scrollIntoViewIfNeeded();
        await preview.getByRole("group", { name: "Page 3" }).getByText("Third page").waitFor();
        preview = await open("broken.pdf");
        await preview.getByText("This PDF is damaged").waitFor();
        await page.setViewportSize(PHONE);
        await page.getByRole("group", { name: "View", exact: true }).getByRole("button", { name: /^Files/ }).click();
        await page.getByRole("region", { name: "Files" }).getByRole("button", { name: /^report\.pdf/ }).click();
        await page.getByRole("group", { name: "Page 1" }).getByText("First page").waitFor();
        await checkLayout(page, "a PDF on a phone");
        await visited.screenshot(`pdf-phone-${colorScheme}`);
      },
      { colorScheme },
    );
  });
}

test("a preview takes the full width, and gives it back when it closes", LIMIT, async () => {
  await visit(async (visited, page, open) => {
    const preview = await open("sales.csv");
    const transcript = page.getByRole("region", { name: "Transcript" });
    const side = page.getByRole("complementary", { name: "Workspace" });
    const width = () => side.evaluate((element) => element.getBoundingClientRect().width);
    const main = await page.getByRole("main").evaluate((element) => element.getBoundingClientRect().width);
    const before = await width();
    const full = preview.getByRole("button", { name: "Full width" });
    await full.click();
    await transcript.waitFor({ state: "hidden" });
    assert.ok(Math.abs((await width()) - main) < 2, `${await width()} of ${main}`);
    await checkLayout(page, "a preview at full width");
    await visited.screenshot("full-width");
    await visited.audit("a preview at full width");
    await full.click();
    await transcript.waitFor();
    assert.ok(Math.abs((await width()) - before) < 2);
    await full.click();
    await preview.getByRole("button", { name: "Close the preview" }).click();
    await transcript.waitFor();
  });
});
