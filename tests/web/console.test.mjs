// Tests the console in Chromium with a real server.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { after, before, test } from "node:test";
import { Runyard } from "../../clients/typescript/dist/index.js";
import { Server } from "../../clients/typescript/tests/server.mjs";
import { CONSOLE_DIR, longestWork, OUTPUT, PHONE, ROOT, startBrowser, Visit } from "./browser.mjs";
import { checkLayout } from "./layout.mjs";
import { Line } from "./line.mjs";
import { Site } from "./site.mjs";
import { LIMIT } from "./setup.mjs";

const CSV = fileURLToPath(new URL("../../examples/data.csv", import.meta.url));
const TASK = "Analyze data.csv and create visualizations";
/** The zip archive of a skill with the name csv-report. */
const SKILL =
  "UEsDBBQAAAAAAAAAIQBn/D/BTAAAAEwAAAATAAAAY3N2LXJlcG9ydC9TS0lMTC5tZC0tLQpuYW1lOiBjc3YtcmVwb3J0CmRlc2NyaXB0aW9uOiBNYWtlcyByZXBvcnRzIGZyb20gQ1NWIGZpbGVzLgotLS0KIyBTdGVwcwpQSwECFAMUAAAAAAAAACEAZ/w/wUwAAABMAAAAEwAAAAAAAAAAAAAAgAEAAAAAY3N2LXJlcG9ydC9TS0lMTC5tZFBLBQYAAAAAAQABAEEAAAB9AAAAAAA=";
/** A PNG image of 24 × 16 pixels. */
const IMAGE =
  "iVBORw0KGgoAAAANSUhEUgAAABgAAAAQCAIAAACDRijCAAAClUlEQVR42hXSERuGMBiF4XEyicfJJB4nk/jhZBKPk0k8TibxOJnE42TS7/j63h9wX+c65xVC0Al6gRIMglFgBJNgFiBYBKvACzbBLoiCQ3AKsuAS3IIqeASvQAhJJ+klSjJIRomRTJJZgmSRrBIv2SS7JEoOySnJkktyS6rkkbzygxSdolcoxaAYFUYxKWYFikWxKrxiU+yKqDgUpyIrLsWtqIpH8aoP0nSaXqM0g2bUGM2kmTVoFs2q8ZpNs2ui5tCcmqy5NLemah7Nqz/I0Bl6gzIMhtFgDJNhNmBYDKvBGzbDboiGw3AasuEy3IZqeAyv+SBLZ+ktyjJYRouxTJbZgmWxrBZv2Sy7JVoOy2nJlstyW6rlsbz2g6CD/l8IA4z/HEww878FVvCwwQ4RDjghwwU3VHjg/RYWjs7RO5RjcIwO45gcswPH4lgd3rE5dkd0HI7TkR2X43ZUx+N43Qd5Ok/vUZ7BM3qMZ/LM/p9k8awe79k8uyd6Ds/pyZ7Lc3uq5/G8/oMCXaAPqMAQGAMmMAXmAIElsAZ8YAvsgRg4AmcgB67AHaiBJ/CGD4p0kT6iIkNkjJjIFJnjv5IlskZ8ZIvskRg5ImckR67IHamRJ/LGD0p0iT6hEkNiTJjElJgTJJbEmvCJLbEnYuJInImcuBJ3oiaexJs+KNNl+ozKDJkxYzJTZs7/bZbMmvGZLbNnYubInJmcuTJ3pmaezJs/qNAV+oIqDIWxYApTYS5QWAprwRe2wl6IhaNwFnLhKtyFWngKb/mgSlfpK6oyVMaKqUyVuf6fZKmsFV/ZKnslVo7KWcmVq3JXauWpvPWDGl2jb6jG0BgbpjE15gaNpbE2fGNr7I3YOBpnIzeuxt2ojafxNn4P4txQ5ji6ZwAAAABJRU5ErkJggg==";
/** Maximum compressed size of the JavaScript that the first page loads, in bytes. */
const FIRST_PAGE_BYTES = 200 * 1024;
const BROKEN = /net::ERR_(CONNECTION_|SOCKET_|NETWORK_|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING)/;
/** Maximum duration of a main-thread task while a run streams, in milliseconds. */
const LONGEST_TASK_MS = 200;

let browser;
/** A server whose runs use the scripted model. */
let scripted;
/** A server whose runs use the built-in demo model. */
let demo;

before(async () => {
  const place = `RUNYARD_CONSOLE_DIR=${CONSOLE_DIR}`;
  // If a start fails, the browser and the servers that did start are stored first, so that `after` closes them.
  const started = await Promise.allSettled([startBrowser(), Server.start(place), Server.start(place, "--demo")]);
  [browser, scripted, demo] = started.map(({ value }) => value);
  for (const { reason } of started.filter(({ status }) => status === "rejected")) {
    throw reason;
  }
}, LIMIT);
after(async () => {
  await Promise.allSettled([browser?.close(), scripted?.close(), demo?.close()]);
});

async function account(server, wanted = {}) {
  const { token } = await server.ask({ do: "token", ...wanted });
  return { token, client: new Runyard({ baseUrl: server.url, token }) };
}

/** Runs `doing` with a new page, then checks that the page followed the rules. */
async function visit(server, doing, { expected, ...options } = {}) {
  const visited = await Visit.begin(browser, server.url, options);
  await visited.attempt(async () => {
    await doing(visited, visited.page);
  });
  await visited.end(expected);
}

async function download(page, click) {
  const [saved] = await Promise.all([page.waitForEvent("download"), click()]);
  const path = `${OUTPUT}/${saved.suggestedFilename()}`;
  await saved.saveAs(path);
  return { name: saved.suggestedFilename(), content: readFileSync(path) };
}

const words = (text) => text.match(/word-\d+|And the end\./g) ?? [];

/** Returns the words in the events of the newest run. */
async function wordsOf(client) {
  const [run] = await client.runs.list().all();
  const said = new Map();
  for await (const event of client.runs.stream(run.agentRunId)) {
    if (event.type === "message_delta") {
      said.set(event.messageId, (said.get(event.messageId) ?? "") + event.text);
    }
  }
  return words([...said.values()].join("\n"));
}

async function drop(page, target, files) {
  const transfer = await page.evaluateHandle((given) => {
    const made = new DataTransfer();
    for (const { name, text } of given) {
      made.items.add(new File([text], name));
    }
    return made;
  }, files);
  await target.dispatchEvent("dragover", { dataTransfer: transfer });
  await target.dispatchEvent("drop", { dataTransfer: transfer });
}

test("a sign-in link signs in and the token is never shown", LIMIT, async () => {
  const { token } = await account(demo);
  await visit(demo, async (visited, page) => {
    await visited.signIn(token);
    assert.equal(new URL(page.url()).hash, "#/");
    assert.ok(!(await page.content()).includes(token), "the page does not show the token");
    assert.equal(await page.evaluate(() => localStorage.length), 0, "it is kept for the tab only");
    const sizes = [...(await visited.settled()).values()].map((body) => gzipSync(body).length);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    console.log(`JavaScript of the first page: ${(total / 1024).toFixed(1)} KB gzip in ${sizes.length} files`);
    assert.ok(sizes.length > 0 && total <= FIRST_PAGE_BYTES, `${total} bytes`);
    await visited.screenshot("home");
    await page.reload();
    await page.getByRole("heading", { name: "What should the agent do?" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length), 0, "nothing is left");
  });
});

test("the form signs in, rejects a wrong token and can stay signed in", LIMIT, async () => {
  const { token } = await account(demo);
  await visit(demo, async (visited, page) => {
    await page.goto(`${demo.url}/`);
    const field = page.getByLabel("Token");
    await field.waitFor();
    await visited.screenshot("sign-in");
    await visited.audit("sign-in");
    await field.fill("not.a.token");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("The server does not accept this token.").waitFor();
    await field.fill(token);
    await page.getByLabel("Keep me signed in on this device").check();
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "What should the agent do?" }).waitFor();
    const another = await visited.context.newPage();
    await another.goto(`${demo.url}/`);
    await another.getByRole("heading", { name: "What should the agent do?" }).waitFor();
  });
});

test("an agent is created, changed, compared and rolled back", LIMIT, async () => {
  const { token, client } = await account(demo);
  await visit(demo, async (visited, page) => {
    await visited.signIn(token, "#/agents");
    await page.getByRole("link", { name: "New agent" }).first().click();
    await page.getByRole("textbox", { name: "Name" }).fill("Analyst");
    await page.getByRole("textbox", { name: "System prompt" }).fill("Be brief.");
    await page.getByRole("button", { name: "Create agent" }).click();
    await page.getByRole("heading", { name: "Analyst" }).waitFor();
    await page.getByRole("textbox", { name: "System prompt" }).fill("Be exact.");
    await page.getByRole("button", { name: "Save changes" }).click();
    await page.getByText("v2").first().waitFor();
    await page.getByRole("navigation", { name: "Agent sections" }).getByRole("link", { name: "Versions" }).click();
    await page.getByRole("list", { name: "Versions, newest first" }).waitFor();
    await visited.screenshot("agent-versions");
    await visited.audit("versions of an agent");
    await page.getByRole("button", { name: "Duplicate v1" }).click();
    await page.getByText("v3").first().waitFor();
  });
  const [agent] = await client.agents.list().all();
  assert.equal(agent.name, "Analyst");
  assert.equal(agent.currentVersion.systemPrompt, "Be brief.");
  assert.equal(agent.versionCount, 3);
});

test("an agent gets an icon, a tool server and a model, and does a run", LIMIT, async () => {
  const { token, client } = await account(scripted);
  await visit(scripted, async (visited, page) => {
    await visited.signIn(token, "#/agents/new");
    await page.getByRole("textbox", { name: "Name" }).fill("Librarian");
    await page.getByRole("button", { name: "Choose an icon" }).click();
    const dialog = page.getByRole("dialog", { name: "Icon" });
    await dialog.getByRole("button", { name: "Purple" }).click();
    await dialog.getByRole("searchbox", { name: "Find an icon" }).fill("book");
    await dialog.getByRole("group", { name: "Icons" }).getByRole("button").first().click();
    await visited.audit("the icon picker");
    await visited.screenshot("icon-picker");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await page.getByRole("combobox", { name: "Model" }).selectOption("kortix/minimax");
    const servers = page.getByRole("region", { name: "Custom servers" });
    await servers.getByRole("button", { name: "Add server" }).click();
    await servers.getByRole("textbox", { name: "Name" }).fill("catalogue");
    await servers.getByRole("textbox", { name: "Headers" }).fill("X-Library: main");
    await servers.getByRole("combobox", { name: "Transport" }).selectOption({ label: "Command in the sandbox (stdio)" });
    await servers.getByRole("textbox", { name: "Command" }).fill("true");
    await visited.audit("a tool server");
    await visited.screenshot("tool-server");
    await page.getByRole("button", { name: "Create agent" }).click();
    await page.getByRole("heading", { level: 1, name: "Librarian" }).waitFor();
    await page.getByRole("textbox", { name: "Description" }).fill("Knows books.");
    await page.getByRole("button", { name: "Save changes" }).click();
    await page.getByText("Saved.", { exact: true }).waitFor();
    await page.getByRole("link", { name: "Start a run" }).click();
    const agent = page.getByRole("combobox", { name: "Agent" });
    await agent.locator("option", { hasText: "Librarian" }).waitFor({ state: "attached" });
    await visited.until("the agent of the link is selected", () => agent.evaluate((select) => select.selectedOptions[0]?.label === "Librarian"));
    await page.getByRole("combobox", { name: "Model" }).selectOption("kortix/minimax");
    await page.getByRole("combobox", { name: "Mode", exact: true }).selectOption({ label: "Mode: chat" });
    await visited.start("say: Read.");
    await visited.run("completed").getByText("Read.").waitFor();
  });
  const [agent] = await client.agents.list().all();
  assert.match(agent.iconName, /book/);
  assert.deepEqual([agent.iconColor, agent.iconBackground, agent.description], ["#9333EA", "#FAF5FF", "Knows books."]);
  assert.deepEqual(
    agent.currentVersion.customMcps.map(({ name, type, command, headers }) => [name, type, command, headers]),
    [["catalogue", "stdio", "true", {}]],
  );
  const [run] = await client.runs.list().all();
  assert.deepEqual([run.agentId, run.modelRequested, run.mode], [agent.agentId, "kortix/minimax", "chat"]);
});

test("tool output is live, edits are shown as diffs, and a failed task can be edited and sent again", LIMIT, async () => {
  const { token } = await account(scripted);
  await visit(scripted, async (visited, page) => {
    await visited.signIn(token);
    // An observer records whether the first line was shown before the second line. On a slow machine, polling could
    // miss this moment.
    await page.evaluate(() => {
      window.wasLive = false;
      const look = () => {
        const output = document.querySelector("[aria-label='Live output']")?.textContent ?? "";
        window.wasLive ||= output.includes("begun") && !output.includes("ended");
      };
      new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
    });
    const script = ["write: a.txt | one\\n\\ntwo\\n", "edit: a.txt | two | three", "bash: echo begun; sleep 3; echo ended", "fail: 401"];
    await visited.start(script.join("\n"));
    await visited.run("failed").waitFor();
    assert.ok(await page.evaluate(() => window.wasLive), "output was shown while the tool worked");
    const steps = page.getByRole("list", { name: "Steps of the run" });
    const change = steps.getByRole("group", { name: "Changes to a.txt" });
    await change.locator(".diff-removed", { hasText: "two" }).waitFor();
    await change.locator(".diff-added", { hasText: "three" }).waitFor();
    await steps.getByRole("button", { name: /^write/ }).click();
    const written = steps.getByRole("group", { name: "Content of a.txt" });
    assert.deepEqual(await written.locator(".diff-text").allInnerTexts(), ["one", "", "two"]);
    assert.equal(await written.locator(".diff-added").count(), 3, "an empty line is a line");
    await visited.screenshot("failed-run");
    await visited.audit("a run that failed");
    await page.getByRole("button", { name: "Edit and resend" }).click();
    const task = page.getByRole("textbox", { name: "Task" });
    await visited.until("the composer holds the task again", async () => (await task.inputValue()) === script.join("\n"));
    await page.getByLabel("Thread actions").click();
    await page.getByRole("button", { name: "Rename" }).click();
    await page.getByRole("textbox", { name: "Name" }).fill("Another name");
    await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
    await page.getByRole("heading", { level: 1, name: "Another name" }).waitFor();
    await page.getByLabel("Thread actions").click();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "Threads" }).waitFor();
    await page.getByRole("main").getByText("Another name").waitFor({ state: "detached" });
  });
});

test("a dropped file leads to a chart that can be downloaded", LIMIT, async () => {
  const { token, client } = await account(demo);
  await visit(demo, async (visited, page) => {
    await visited.signIn(token);
    const form = page.getByRole("form", { name: "New run" });
    await drop(page, form, [{ name: "data.csv", text: readFileSync(CSV, "utf8") }]);
    await page.getByRole("list", { name: "Files for this task" }).getByText("data.csv").waitFor();
    await page.getByRole("textbox", { name: "Task" }).fill(TASK);
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await visited.run("completed").waitFor();
    const made = page.getByRole("region", { name: "Output of this run" });
    const picture = made.getByRole("img").first();
    await picture.waitFor();
    assert.ok((await picture.evaluate((image) => image.decode().then(() => image.naturalWidth))) > 100, "the chart is drawn");
    assert.match(await picture.getAttribute("src"), /^blob:/, "an SVG is only an image source");
    await visited.screenshot("chart");
    await visited.audit("a thread");
    const chart = await download(page, () => made.getByRole("button", { name: /^Download .*\.svg$/ }).first().click());
    assert.match(chart.name, /\.svg$/);
    const [run] = await client.runs.list().all();
    const files = await (await client.runs.open(run.agentRunId)).files();
    const stored = files.find((file) => file.name === chart.name);
    assert.ok(Buffer.from(await stored.read()).equals(chart.content), "the download equals the stored file");
    assert.match(chart.content.toString(), /<svg/);

    // The uploaded file is previewed as a table.
    await page.getByRole("region", { name: "Files" }).getByRole("button", { name: /^data\.csv/ }).click();
    await page.getByRole("region", { name: "Preview of data.csv" }).getByRole("table").waitFor();
    await visited.screenshot("table");
    await visited.audit("a preview");
  });
});

test("images of a task and of a tool result are shown as thumbnails", LIMIT, async () => {
  const { token } = await account(scripted);
  await visit(scripted, async (visited, page) => {
    await visited.signIn(token);
    const dots = { name: "dots.png", mimeType: "image/png", buffer: Buffer.from(IMAGE, "base64") };
    await visited.start("read: dots.png\nsay: Seen.", { files: [dots] });
    await visited.run("completed").waitFor();
    for (const list of ["Attached images", "Images of the result"]) {
      const picture = page.getByRole("list", { name: list }).getByRole("img");
      await picture.waitFor();
      assert.equal(await picture.evaluate((image) => image.decode().then(() => image.naturalWidth)), 24, list);
      assert.match(await picture.getAttribute("alt"), /^dots\.png, 24 × 16 pixels/);
    }
    await visited.screenshot("thumbnails");
    await visited.audit("thumbnails");
    await page.getByRole("list", { name: "Attached images" }).getByRole("button", { name: "Open dots.png" }).click();
    await page.getByRole("region", { name: "Preview of dots.png" }).waitFor();
  });
});

test("text is shown while it streams", LIMIT, async () => {
  const { token } = await account(scripted);
  await visit(scripted, async (visited, page) => {
    await visited.signIn(token);
    // An observer records every change of the page. On a slow machine, polling could miss some states.
    await page.evaluate(() => {
      window.counts = new Set();
      const look = () => window.counts.add(document.body.innerText.match(/word-\d+/g)?.length ?? 0);
      new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
    });
    await visited.start("slow: 80 100\nbash: echo from the tool; sleep 0.2\nsay: **All** done.");
    const steps = page.getByRole("list", { name: "Steps of the run" });
    await steps.getByText("word-79").waitFor();
    await visited.run("completed").waitFor();
    const counts = await page.evaluate(() => [...window.counts]);
    assert.ok(counts.filter((count) => count > 0 && count < 80).length >= 5, `words that were shown: ${counts}`);
    assert.equal(await steps.locator("strong", { hasText: "All" }).count(), 1, "markdown is drawn");
    assert.match(await steps.innerText(), /bash/);
  });
});

test("after a server crash a run is shown without gaps or repeats", LIMIT, async () => {
  const { token, client } = await account(scripted);
  await visit(
    scripted,
    async (visited, page) => {
      await visited.signIn(token);
      await visited.start("slow: 120 100\nsay: And the end.");
      const steps = page.getByRole("list", { name: "Steps of the run" });
      await steps.getByText("word-9 ").waitFor();
      await scripted.ask({ do: "kill" });
      await page.getByText("The connection was interrupted.").first().waitFor();
      await visited.screenshot("interrupted");
      await scripted.ask({ do: "start" });
      await visited.run("completed").waitFor();
      await page.getByText("The connection was interrupted.").waitFor({ state: "detached" });
      const expected = await wordsOf(client);
      assert.deepEqual(words(await steps.innerText()), expected);
      assert.ok(expected.includes("word-119"));
      await page.reload();
      await visited.run("completed").waitFor();
      await steps.getByText("And the end.").waitFor();
      assert.deepEqual(words(await steps.innerText()), expected, "the text is the same after a reload");
    },
    { expected: BROKEN },
  );
});

test("events during a network outage are shown after it", LIMIT, async () => {
  const { token, client } = await account(scripted);
  const line = await Line.to(scripted.url);
  try {
    await visit(
      line,
      async (visited, page) => {
        await visited.signIn(token);
        await visited.start("slow: 120 100\nbash: echo made > made.txt\nsay: And the end.");
        const steps = page.getByRole("list", { name: "Steps of the run" });
        await steps.getByText("word-9 ").waitFor();
        line.cut();
        await page.getByText("The connection was interrupted.").first().waitFor();
        const [run] = await client.runs.list().all();
        await (await client.runs.open(run.agentRunId)).wait();
        assert.ok(!(await steps.innerText()).includes("word-119"), "no events arrived during the outage");
        line.mend();
        await visited.run("completed").waitFor();
        await page.getByText("The connection was interrupted.").waitFor({ state: "detached" });
        assert.deepEqual(words(await steps.innerText()), await wordsOf(client));
        await page.getByRole("region", { name: "Files" }).getByRole("button", { name: /^made\.txt/ }).waitFor();
      },
      { expected: BROKEN },
    );
  } finally {
    await line.close();
  }
});

test("a large file is uploaded in chunks with visible progress", LIMIT, async () => {
  const { token } = await account(scripted);
  await visit(scripted, async (visited, page) => {
    await visited.signIn(token);
    let chunks = 0;
    page.on("request", (request) => {
      chunks += request.url().endsWith("/UploadChunk") ? 1 : 0;
    });
    await page.evaluate(() => {
      window.shares = new Set();
      const look = () => {
        const share = document.querySelector("progress")?.value;
        if (share !== undefined) {
          window.shares.add(share);
        }
      };
      new MutationObserver(look).observe(document.body, { childList: true, subtree: true, attributes: true });
    });
    const files = [{ name: "large.bin", mimeType: "application/octet-stream", buffer: Buffer.alloc(9_000_000, 7) }];
    await visited.start("bash: wc -c < large.bin", { files });
    const run = visited.run("completed");
    await run.waitFor();
    const shares = await page.evaluate(() => [...window.shares]);
    assert.ok(shares.filter((share) => share > 0 && share < 100).length >= 3, `progress values shown: ${shares}`);
    assert.ok(chunks >= 9, `${chunks} chunks`);
    await run.getByRole("button", { name: /^bash/ }).click();
    await run.getByRole("group", { name: "Result" }).getByText("9000000").waitFor();
    assert.match(await run.innerText(), /tokens in · \d+ out[^]*credits/, "usage is shown");
    await page.getByRole("region", { name: "Files" }).getByText("9 MB").waitFor();
  });
});

test("a refusal is explained, and stopping a run frees its slot", LIMIT, async () => {
  const { token } = await account(scripted);
  await visit(scripted, async (visited, page) => {
    await visited.signIn(token);
    await visited.start("sleep: 300");
    await visited.run("running").getByText("Waiting.").waitFor();
    await visited.go("#/");
    await page.getByText("You have reached the limit of the").waitFor();
    await visited.start("say: Another.");
    const refusal = page.getByRole("alert");
    await refusal.getByText("Run limit reached").waitFor();
    await refusal.getByText("RUNYARD_LIMITS=off").waitFor();
    await visited.screenshot("refused");
    await visited.audit("a refusal");
    await refusal.getByRole("link", { name: "Open the running thread" }).click();
    await visited.run("running").getByRole("button", { name: "Stop" }).click();
    await visited.run("stopped").waitFor();
    await visited.screenshot("stopped");
    await visited.go("#/");
    await visited.start("say: There is room now.");
    await visited.run("completed").getByText("There is room now.").waitFor();
  });
});

test("many runs are shown side by side over one stream", LIMIT, async () => {
  const { token, client } = await account(scripted, { tier: "enterprise" });
  await visit(scripted, async (visited, page) => {
    await visited.signIn(token);
    await Promise.all(
      Array.from({ length: 6 }, (_, number) => client.agents.run({ prompt: `slow: 60 300\nsay: Run ${number} is done.` })),
    );
    await page.getByRole("navigation", { name: "Main" }).first().getByRole("link", { name: "Runs" }).click();
    const cards = page.getByRole("article");
    await page.getByRole("article", { name: /, running$/ }).nth(5).waitFor();
    await visited.screenshot("board");
    await visited.until("one stream is open", () => visited.streams.open === 1);
    for (let number = 0; number < 6; number += 1) {
      await cards.getByText(`Run ${number} is done.`).waitFor();
    }
    await page.getByRole("article", { name: /, completed$/ }).nth(5).waitFor();
    await visited.audit("runs side by side");
    // There are up to three streams: the current one, its replacement, and one whose end the browser has not reported
    // yet.
    assert.ok(visited.streams.most <= 3, `${visited.streams.most} streams at once`);
  });
});

test("5,000 deltas keep the page responsive", LIMIT, async () => {
  const { token } = await account(scripted);
  await visit(scripted, async (visited, page) => {
    await visited.signIn(token);
    let start;
    let best = { long: Infinity, work: Infinity };
    // Other programs can prolong a task, so the measurement is repeated. On an overloaded machine, the test uses the
    // CPU time of the task instead of its elapsed time.
    for (let attempt = 1; attempt <= 3 && best.long > LONGEST_TASK_MS; attempt += 1) {
      await visited.go("#/");
      await page.getByRole("form", { name: "New run" }).waitFor();
      start = await page.evaluate(() => performance.now());
      const begun = Date.now();
      const work = await longestWork(browser, page, async () => {
        await visited.start("stream: 5000");
        await visited.run("completed").waitFor();
      });
      const long = await visited.longestTask(start);
      console.log(
        `5,000 deltas in ${Date.now() - begun} ms; the longest task of the page took ${long.toFixed(0)} ms, ` +
          `the longest CPU time of one was ${work.toFixed(0)} ms`,
      );
      best = { long: Math.min(best.long, long), work: Math.min(best.work, work) };
      const text = await page.getByRole("list", { name: "Steps of the run" }).innerText();
      assert.ok(text.includes("word-0 ") && text.includes("word-4999"), "all of it is shown");
    }
    const isBusy = loadavg()[0] > availableParallelism();
    const isShort = best.long <= LONGEST_TASK_MS || (isBusy && best.work <= LONGEST_TASK_MS);
    assert.ok(isShort, JSON.stringify({ ...best, isBusy }));
    // Control: the elapsed time and the CPU time must both reveal a page that hangs.
    const work = await longestWork(browser, page, () =>
      page.evaluate(
        () =>
          new Promise((resolve) => {
            setTimeout(() => {
              const until = performance.now() + 600;
              while (performance.now() < until);
              setTimeout(resolve, 200);
            });
          }),
      ),
    );
    await visited.until("the long task is reported", async () => (await visited.longestTask(start)) >= 590);
    assert.ok(work >= 50, `${work} ms of work`);
  });
});

test("model output is never executed in the page", LIMIT, async () => {
  const { token } = await account(scripted);
  const svg =
    "<svg xmlns='http://www.w3.org/2000/svg' width='200' height='100'><script>document.title='taken'</script>" +
    "<rect width='200' height='100' fill='teal' onclick='alert(1)'/><image href='http://127.0.0.1:9/pixel.png'/></svg>";
  const said = [
    "<img src=http://127.0.0.1:9/x.png onerror=document.title='taken'>",
    "<script>document.title='taken'</script>",
    "[a link](javascript:document.title='taken') and [another](http://127.0.0.1:9/there)",
    "![a picture](http://127.0.0.1:9/picture.png)",
  ];
  await visit(scripted, async (visited, page) => {
    await visited.signIn(token);
    await visited.start(`write: output/evil.svg | ${svg}\nsay: ${said.join("\\n\\n")}`);
    await visited.run("completed").waitFor();
    const picture = page.getByRole("region", { name: "Output of this run" }).getByRole("img").first();
    await picture.waitFor();
    assert.ok(await picture.evaluate((image) => image.decode().then(() => image.naturalWidth)) >= 200, "the drawing is shown");
    const steps = page.getByRole("list", { name: "Steps of the run" });
    assert.match(await steps.innerText(), /<img src=http/, "HTML is shown as text");
    const found = await page.evaluate(() => ({
      images: [...document.images].map((image) => image.src).filter((source) => !/^(blob|data):/.test(source)),
      scripts: [...document.scripts].filter((script) => !script.src).length,
      links: [...document.links].map((link) => link.href).filter((href) => href.startsWith("javascript:")),
      title: document.title,
    }));
    assert.deepEqual([found.images, found.scripts, found.links], [[], 0, []]);
    assert.notEqual(found.title, "taken");
    await visited.screenshot("untrusted");
  });
});

test("an API key is shown once, works and can be revoked", LIMIT, async () => {
  const { token, client } = await account(demo);
  await visit(demo, async (visited, page) => {
    await visited.signIn(token, "#/account");
    await page.getByRole("button", { name: "New API key" }).click();
    await page.getByRole("textbox", { name: "Name" }).fill("Nightly");
    await visited.audit("a dialog");
    await page.getByRole("button", { name: "Create API key" }).click();
    const secret = await page.getByRole("textbox", { name: "API key" }).inputValue();
    await visited.screenshot("api-key");
    await page.keyboard.press("Escape");
    await page.getByRole("textbox", { name: "API key" }).waitFor({ state: "detached" });
    assert.ok(!(await page.content()).includes(secret), "it is not shown again");
    const program = new Runyard({ baseUrl: demo.url, token: secret });
    assert.equal((await program.account.state()).accountId, (await client.account.state()).accountId);
    await page.getByRole("button", { name: "Revoke Nightly" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke", exact: true }).click();
    await page.getByRole("button", { name: "Revoke Nightly" }).waitFor({ state: "detached" });
    await assert.rejects(program.account.state(), { kind: "unauthenticated" });
  });
});

test("a skill is uploaded, added to an agent, and deleted", LIMIT, async () => {
  const { token, client } = await account(demo);
  await visit(demo, async (visited, page) => {
    await visited.signIn(token, "#/skills");
    await page.getByRole("heading", { name: "No skills yet" }).waitFor();
    const archive = { name: "csv-report.zip", mimeType: "application/zip", buffer: Buffer.from(SKILL, "base64") };
    await page.getByLabel("Zip archive of a skill").setInputFiles(archive);
    await page.getByText("Uploaded csv-report, version 1.").first().waitFor();
    await visited.screenshot("skills");
    await page.getByLabel("Zip archive of a skill").setInputFiles({ ...archive, buffer: Buffer.from("no archive") });
    await page.getByRole("alert").waitFor();
    await visited.go("#/agents/new");
    await page.getByRole("textbox", { name: "Name" }).fill("Reporter");
    await page.getByRole("checkbox", { name: /^csv-report/ }).check();
    await page.getByRole("combobox", { name: "Version of csv-report" }).selectOption({ label: "Version 1" });
    await page.getByRole("button", { name: "Create agent" }).click();
    await page.getByRole("heading", { level: 1, name: "Reporter" }).waitFor();
    const [agent] = await client.agents.list().all();
    assert.deepEqual(agent.currentVersion.skills, [{ name: "csv-report", version: 1 }]);
    await visited.go("#/skills");
    await page.getByRole("button", { name: "Delete csv-report" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("heading", { name: "No skills yet" }).waitFor();
  });
});

test("memories are created, searched, changed, shown in a run and deleted", LIMIT, async () => {
  const { token, client } = await account(scripted);
  await visit(scripted, async (visited, page) => {
    await visited.signIn(token, "#/agents/new");
    await page.getByRole("textbox", { name: "Name" }).fill("Painter");
    await page.getByRole("checkbox", { name: /^Remember facts/ }).check();
    await page.getByRole("button", { name: "Create agent" }).click();
    await page.getByRole("heading", { level: 1, name: "Painter" }).waitFor();
    const [{ agentId, currentVersion }] = await client.agents.list().all();
    assert.deepEqual(currentVersion.memory, { enabled: true, scope: "agent" });
    await client.memories.create({ text: "Bob is tall." });
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Memory" }).click();
    const list = page.getByRole("list", { name: "Memories" });
    await list.getByText("Bob is tall.").waitFor();
    await page.getByRole("button", { name: "New memory" }).click();
    await page.getByRole("textbox", { name: "Text" }).fill("Ann likes blue.");
    await page.getByRole("combobox", { name: "Remembered by" }).selectOption({ label: "Painter" });
    await visited.audit("a new memory");
    await page.getByRole("button", { name: "Create memory" }).click();
    await list.getByText("Ann likes blue.").waitFor();
    await page.getByRole("searchbox", { name: "Search memories" }).fill("tall");
    await list.getByText("Ann likes blue.").waitFor({ state: "detached" });
    await list.getByText("Bob is tall.").waitFor();
    await page.getByRole("searchbox", { name: "Search memories" }).fill("");
    await page.getByRole("combobox", { name: "Memories of" }).selectOption({ label: "Painter" });
    await list.getByText("Bob is tall.").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Edit Ann likes blue." }).click();
    await page.getByRole("textbox", { name: "Text" }).fill("Ann likes red.");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await list.getByText("Ann likes red.").waitFor();
    await visited.screenshot("memory");
    const run = await client.agents.run({ agentId, prompt: "say: Red." });
    assert.equal((await run.wait()).status, "completed");
    await visited.go(`#/threads/${run.threadId}`);
    await visited.run("completed").getByText("Ann likes red.").waitFor();
    await visited.go("#/memory");
    await page.getByRole("button", { name: "Delete Ann likes red." }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
    await list.getByText("Ann likes red.").waitFor({ state: "detached" });
  });
  assert.deepEqual((await client.memories.list().all()).map((memory) => memory.text), ["Bob is tall."]);
});

test("a new run in a busy thread can interrupt the active run", LIMIT, async () => {
  const { token, client } = await account(scripted, { tier: "pro" });
  await visit(scripted, async (visited, page) => {
    await visited.signIn(token);
    await visited.start("sleep: 300");
    await visited.run("running").getByText("Waiting.").waitFor();
    await page.getByRole("group", { name: "While a run is active" }).getByRole("button", { name: "Interrupt" }).click();
    await visited.start("say: I am first now.");
    await visited.run("stopped").waitFor();
    await visited.run("completed").getByText("I am first now.").waitFor();
  });
  const states = (await client.runs.list().all()).map((run) => run.status);
  assert.deepEqual(states, ["completed", "stopped"]);
});

test("on a phone a task can be run, and every screen fits", LIMIT, async () => {
  const { token } = await account(demo);
  await visit(
    demo,
    async (visited, page) => {
      const fits = (where) => checkLayout(page, where);
      await visited.signIn(token);
      await fits("home");
      await visited.screenshot("phone-home");
      await visited.audit("home on a phone");
      await visited.start(TASK, { files: [CSV] });
      await visited.run("completed").waitFor();
      await page.getByRole("region", { name: "Output of this run" }).getByRole("img").first().waitFor();
      await fits("a thread");
      await visited.screenshot("phone-thread");
      await visited.audit("a thread on a phone");
      await page.getByRole("group", { name: "View" }).getByRole("button", { name: /^Files/ }).click();
      const chart = page.getByRole("region", { name: "Files" }).getByRole("button", { name: /^Download .*\.svg$/ });
      assert.match((await download(page, () => chart.first().click())).name, /\.svg$/);
      await fits("files");
      await visited.go("#/");
      await page.getByRole("button", { name: "Options" }).click();
      await page.getByRole("combobox", { name: "Mode", exact: true }).selectOption({ label: "Mode: chat" });
      await fits("options");
      await visited.screenshot("phone-options");
      await visited.start("Say hello");
      await visited.run("completed").waitFor();
      await visited.go("#/agents/new");
      await page.getByRole("textbox", { name: "Name" }).fill("Pocket");
      await page.getByRole("button", { name: "Create agent" }).click();
      await page.getByRole("heading", { level: 1, name: "Pocket" }).waitFor();
      await fits("an agent");
      await visited.screenshot("phone-agent");
      const main = page.getByRole("navigation", { name: "Main (bottom bar)" });
      for (const name of ["Threads", "Runs", "Agents", "Skills", "Account"]) {
        await main.getByRole("link", { name }).click();
        await page.getByRole("heading", { level: 1, name }).waitFor();
        await fits(name);
      }
    },
    { viewport: PHONE, hasTouch: true, isMobile: true },
  );
});

test("a task can be run by keyboard alone", LIMIT, async () => {
  const { token } = await account(demo);
  await visit(demo, async (visited, page) => {
    const { keyboard } = page;
    /** Presses Tab until an element with this name has the focus. */
    const tabTo = async (name) => {
      for (let presses = 0; presses < 80; presses += 1) {
        await keyboard.press("Tab");
        const focused = await page.evaluate(() => {
          const { activeElement: at } = document;
          return at?.getAttribute("aria-label") ?? at?.textContent ?? "";
        });
        if (name.test(focused.trim())) {
          return;
        }
      }
      assert.fail(`no element named ${name} is reachable`);
    };
    await page.goto(`${demo.url}/`);
    // The token field gets the focus by itself.
    await page.getByLabel("Token").waitFor();
    await visited.until("the token field has the focus", () => page.getByLabel("Token").evaluate((field) => field === document.activeElement));
    await keyboard.type(token);
    await keyboard.press("Enter");
    await page.getByRole("heading", { name: "What should the agent do?" }).waitFor();
    await keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
    await tabTo(/^Analyze a table/);
    await keyboard.press("Enter");
    await page.getByRole("list", { name: "Files for this task" }).getByText("data.csv").waitFor();
    await keyboard.press("Control+Enter");
    await visited.run("completed").waitFor();
    await page.getByRole("region", { name: "Output of this run" }).getByRole("img").first().waitFor();
    await tabTo(/^Download .*\.svg$/);
    assert.match((await download(page, () => keyboard.press("Enter"))).name, /\.svg$/);
    await keyboard.press("/");
    await keyboard.type("go");
    assert.equal(await page.getByRole("textbox", { name: "Task" }).inputValue(), "go");
  });
});

test("axe has no serious findings on any page, in either theme", LIMIT, async () => {
  const { token, client } = await account(demo, { tier: "pro" });
  const agent = await client.agents.create({ name: "Analyst", tags: ["tables"] });
  const run = await client.agents.run({ prompt: TASK, files: [{ name: "data.csv", data: readFileSync(CSV) }] });
  assert.equal((await run.wait()).status, "completed");
  await client.apiKeys.create({ name: "Reader", scopes: ["read"] });
  await client.memories.create({ text: "Ann likes blue.", agentId: agent.agentId });
  const places = {
    home: ["#/", "What should the agent do?"],
    threads: ["#/threads", "Threads"],
    thread: [`#/threads/${run.threadId}`, /Analyze/],
    runs: ["#/runs", "Runs"],
    agents: ["#/agents", "Agents"],
    "new-agent": ["#/agents/new", "New agent"],
    agent: [`#/agents/${agent.agentId}`, "Analyst"],
    skills: ["#/skills", "Skills"],
    memory: ["#/memory", "Memory"],
    schedules: ["#/schedules", "Schedules"],
    webhooks: ["#/webhooks", "Webhooks"],
    usage: ["#/usage", "Usage"],
    account: ["#/account", "Account"],
  };
  const backgrounds = new Set();
  for (const colorScheme of ["light", "dark"]) {
    await visit(
      demo,
      async (visited, page) => {
        await visited.signIn(token);
        for (const [name, [place, heading]] of Object.entries(places)) {
          await visited.go(place);
          await page.getByRole("heading", { level: 1, name: heading }).waitFor();
          if (name === "thread") {
            await page.getByRole("region", { name: "Output of this run" }).getByRole("img").first().waitFor();
          }
          await page.waitForLoadState("networkidle", { timeout: 5_000 }).catch(() => {});
          await visited.screenshot(`${name}-${colorScheme}`);
          await checkLayout(page, name);
          await visited.audit(`${name}, ${colorScheme}`);
        }
        backgrounds.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
        const group = page.getByRole("group", { name: "Theme" });
        await group.getByRole("button", { name: colorScheme === "light" ? "Dark" : "Light" }).click();
        backgrounds.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
      },
      { colorScheme },
    );
  }
  assert.equal(backgrounds.size, 2, "exactly two backgrounds: the system setting and the switch select the same themes");
});

test("the API reference shows all operations and loads nothing from other origins", LIMIT, async () => {
  await visit(demo, async (visited, page) => {
    await page.goto(`${demo.url}/docs`);
    await page.getByText("/agent/start").first().waitFor();
    await page.getByText("/sandboxes/{sandbox_id}/files/content").first().waitFor();
    await visited.screenshot("docs");
    await checkLayout(page, "the API reference");
    await visited.audit("the API reference");
  });
});

test("the page from the quickstart works from another origin", LIMIT, async () => {
  const pages = readFileSync(`${ROOT}/docs/quickstart.md`, "utf8").split("\n```html run\n").slice(1);
  assert.equal(pages.length, 1);
  const site = await Site.build(pages[0].split("\n```")[0]);
  const configuration = `${site.folder}/runyard.toml`;
  writeFileSync(configuration, `[http]\ncors_origins = ["${site.origin}"]\n`);
  const server = await Server.start(`RUNYARD_CONFIG=${configuration}`, "--demo");
  try {
    site.server = server.url;
    site.token = (await account(server)).token;
    const visited = await Visit.begin(browser, site.origin, { others: [server.url] });
    await visited.page.goto(site.origin);
    await visited.page.getByLabel("Table").setInputFiles(CSV);
    await visited.page.locator("#chart[src^='blob:']").waitFor();
    assert.ok(await visited.page.locator("#chart").evaluate((image) => image.decode().then(() => image.naturalWidth)) > 100);
    assert.match(await visited.page.locator("#text").innerText(), /data\.csv/);
    await visited.screenshot("quickstart");
    await visited.end();
  } finally {
    await server.close();
    await site.close();
  }
});

test("a visit detects a page that breaks the rules", LIMIT, async () => {
  const visited = await Visit.begin(browser, demo.url);
  await visited.page.goto(`${demo.url}/`);
  await visited.page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.injected = true";
    document.head.append(script);
    const image = document.createElement("img");
    image.src = "http://127.0.0.1:9/pixel.png";
    document.body.append(image);
  });
  await visited.until("the policy was broken", () => visited.wrong.filter((what) => /Content Security Policy/i.test(what)).length >= 2);
  assert.equal(await visited.page.evaluate(() => window.injected), undefined, "an injected script does not run");
  await visited.context.close();
  assert.ok(visited.wrong.some((what) => /Content Security Policy/i.test(what)), visited.wrong.join("\n"));
  assert.throws(() => visited.assertClean());
});
