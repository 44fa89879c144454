// The console in real Chromium, against the real program.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { after, before, test } from "node:test";
import { Runyard } from "../../clients/typescript/dist/index.js";
import { Server } from "../../clients/typescript/tests/server.mjs";
import { CONSOLE_DIR, OUTPUT, PHONE, startBrowser, Visit } from "./browser.mjs";

const CSV = fileURLToPath(new URL("../../examples/data.csv", import.meta.url));
const TASK = "Analyze data.csv and create visualizations";
const LIMIT = { timeout: 60_000 };
/** The most JavaScript that the first page may bring, compressed. */
const FIRST_PAGE_BYTES = 200 * 1024;
/** The longest that a page may be deaf while a run streams. */
const LONGEST_TASK_MS = 200;

let browser;
/** Runs are played by the scripted model. */
let scripted;
/** Runs are done by the built-in demo model. */
let demo;

before(async () => {
  const place = `RUNYARD_CONSOLE_DIR=${CONSOLE_DIR}`;
  [browser, scripted, demo] = await Promise.all([startBrowser(), Server.start(place), Server.start(place, "--demo")]);
}, LIMIT);
after(async () => {
  await Promise.allSettled([browser?.close(), scripted?.close(), demo?.close()]);
});

async function account(server, wanted = {}) {
  const { token } = await server.ask({ do: "token", ...wanted });
  return { token, client: new Runyard({ baseUrl: server.url, token }) };
}

/** Does something in a page of its own, and then looks at what the page did that it may not do. */
async function visit(server, doing, { expected, ...options } = {}) {
  const visited = await Visit.begin(browser, server.url, options);
  try {
    await doing(visited, visited.page);
  } catch (error) {
    await visited.screenshot("failed").catch(() => {});
    await visited.context.close();
    throw new Error(`${error.message}\nThe page did: ${visited.wrong.join("\n") || "nothing wrong"}`, { cause: error });
  }
  await visited.end(expected);
}

async function download(page, click) {
  const [saved] = await Promise.all([page.waitForEvent("download"), click()]);
  const path = `${OUTPUT}/${saved.suggestedFilename()}`;
  await saved.saveAs(path);
  return { name: saved.suggestedFilename(), content: readFileSync(path) };
}

/** Drops files on an element, as a hand does. */
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

test("a link signs in, and the token stays out of sight", LIMIT, async () => {
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
    await page.getByRole("heading", { name: "What should run?" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length), 0, "nothing is left");
  });
});

test("the form signs in, says when a token is wrong, and remembers when asked to", LIMIT, async () => {
  const { token } = await account(demo);
  await visit(demo, async (visited, page) => {
    await page.goto(`${demo.url}/`);
    await visited.screenshot("sign-in");
    await visited.audit("sign-in");
    const field = page.getByLabel("Token");
    await field.fill("not.a.token");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("The token is not valid").waitFor();
    await field.fill(token);
    await page.getByLabel("Keep me signed in on this device").check();
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "What should run?" }).waitFor();
    const another = await visited.context.newPage();
    await another.goto(`${demo.url}/`);
    await another.getByRole("heading", { name: "What should run?" }).waitFor();
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
    await page.getByRole("navigation", { name: "Parts of the agent" }).getByRole("link", { name: "Versions" }).click();
    await page.getByRole("list", { name: "Versions, newest first" }).waitFor();
    await visited.screenshot("agent-versions");
    await visited.audit("versions of an agent");
    await page.getByRole("button", { name: "Go back to v1 with a new version" }).click();
    await page.getByText("v3").first().waitFor();
  });
  const [agent] = await client.agents.list().all();
  assert.equal(agent.name, "Analyst");
  assert.equal(agent.currentVersion.systemPrompt, "Be brief.");
  assert.equal(agent.versionCount, 3);
});

test("the main job: a file is dropped, a chart comes out and is taken away", LIMIT, async () => {
  const { token, client } = await account(demo);
  await visit(demo, async (visited, page) => {
    await visited.signIn(token);
    const form = page.getByRole("form", { name: "New run" });
    await drop(page, form, [{ name: "data.csv", text: readFileSync(CSV, "utf8") }]);
    await page.getByRole("list", { name: "Files of this task" }).getByText("data.csv").waitFor();
    await page.getByRole("textbox", { name: "Task" }).fill(TASK);
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await visited.run("completed").waitFor();
    const made = page.getByRole("region", { name: "Made in this run" });
    const picture = made.getByRole("img").first();
    await picture.waitFor();
    assert.ok(await picture.evaluate((image) => image.complete && image.naturalWidth > 100), "the chart is drawn");
    assert.match(await picture.getAttribute("src"), /^blob:/, "an SVG is an image, and no part of the page");
    await visited.screenshot("chart");
    await visited.audit("a thread");
    const chart = await download(page, () => made.getByRole("button", { name: /^Download .*\.svg$/ }).first().click());
    assert.match(chart.name, /\.svg$/);
    const [run] = await client.runs.list().all();
    const files = await (await client.runs.open(run.agentRunId)).files();
    const stored = files.find((file) => file.name === chart.name);
    assert.ok(Buffer.from(await stored.read()).equals(chart.content), "what is saved is what was made");
    assert.match(chart.content.toString(), /<svg/);

    // The file that came in is there, and is shown as a table.
    await page.getByRole("region", { name: "Files" }).getByRole("button", { name: /^data\.csv/ }).click();
    await page.getByRole("region", { name: "Preview of data.csv" }).getByRole("table").waitFor();
    await visited.screenshot("table");
    await visited.audit("a preview");
  });
});

test("text is shown as it comes", LIMIT, async () => {
  const { token } = await account(scripted);
  await visit(scripted, async (visited, page) => {
    await visited.signIn(token);
    await visited.start("slow: 60 40\nbash: echo from the tool; sleep 0.2\nsay: **All** done.");
    const steps = page.getByRole("list", { name: "Steps of the run" });
    await steps.getByText("word-3").waitFor();
    assert.ok(!(await steps.innerText()).includes("word-59"), "the end is not there yet");
    await visited.run("running").waitFor();
    await steps.getByText("word-59").waitFor();
    await visited.run("completed").waitFor();
    assert.equal(await steps.locator("strong", { hasText: "All" }).count(), 1, "markdown is drawn");
    assert.match(await steps.innerText(), /bash/);
  });
});

test("after a crash of the server a run is shown without a gap or a repeat", LIMIT, async () => {
  const { token, client } = await account(scripted);
  await visit(
    scripted,
    async (visited, page) => {
      await visited.signIn(token);
      await visited.start("slow: 120 30\nsay: And the end.");
      const steps = page.getByRole("list", { name: "Steps of the run" });
      await steps.getByText("word-9 ").waitFor();
      await scripted.ask({ do: "kill" });
      await page.getByText("The connection is interrupted.").first().waitFor();
      await visited.screenshot("interrupted");
      await scripted.ask({ do: "start" });
      await visited.run("completed").waitFor();
      await page.getByText("The connection is interrupted.").waitFor({ state: "detached" });
      const [run] = await client.runs.list().all();
      const said = new Map();
      for await (const event of client.runs.stream(run.agentRunId)) {
        if (event.type === "message_delta") {
          said.set(event.messageId, (said.get(event.messageId) ?? "") + event.text);
        }
      }
      const words = (text) => text.match(/word-\d+|And the end\./g) ?? [];
      const expected = words([...said.values()].join("\n"));
      assert.deepEqual(words(await steps.innerText()), expected);
      assert.ok(expected.includes("word-119"));
      await page.reload();
      await visited.run("completed").waitFor();
      await steps.getByText("And the end.").waitFor();
      assert.deepEqual(words(await steps.innerText()), expected, "loaded anew it is the same");
    },
    { expected: /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/ },
  );
});

test("a refusal is put into words, and stopping makes room", LIMIT, async () => {
  const { token } = await account(scripted);
  await visit(scripted, async (visited, page) => {
    await visited.signIn(token);
    await visited.start("sleep: 120");
    await visited.run("running").getByText("Waiting.").waitFor();
    await visited.go("#/");
    await page.getByText("Your run slot is taken").waitFor();
    await visited.start("say: Another.");
    const refusal = page.getByRole("alert");
    await refusal.getByText("All of your run slots are taken").waitFor();
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

test("many runs are watched side by side over one stream", LIMIT, async () => {
  const { token, client } = await account(scripted, { tier: "enterprise" });
  await visit(scripted, async (visited, page) => {
    await visited.signIn(token);
    await Promise.all(
      Array.from({ length: 6 }, (_, number) => client.agents.run({ prompt: `slow: 80 50\nsay: Run ${number} is done.` })),
    );
    await page.getByRole("navigation", { name: "Main" }).first().getByRole("link", { name: "Runs" }).click();
    const cards = page.getByRole("article");
    await page.getByRole("article", { name: /, running$/ }).nth(5).waitFor();
    await visited.screenshot("board");
    assert.ok(visited.streams.open <= 1, `${visited.streams.open} streams are open`);
    for (let number = 0; number < 6; number += 1) {
      await cards.getByText(`Run ${number} is done.`).waitFor();
    }
    await page.getByRole("article", { name: /, completed$/ }).nth(5).waitFor();
    await visited.audit("runs side by side");
    assert.ok(visited.streams.most <= 2, "one stream, and the one that takes its place");
  });
});

test("5,000 deltas keep the page responsive", LIMIT, async () => {
  const { token } = await account(scripted);
  await visit(scripted, async (visited, page) => {
    await visited.signIn(token);
    const start = await page.evaluate(() => performance.now());
    const begun = Date.now();
    await visited.start("stream: 5000");
    await visited.run("completed").waitFor();
    const text = await page.getByRole("list", { name: "Steps of the run" }).innerText();
    assert.ok(text.includes("word-0 ") && text.includes("word-4999"), "all of it is shown");
    const longest = await visited.longestTask(start);
    console.log(`5,000 deltas in ${Date.now() - begun} ms; the longest task of the page took ${longest.toFixed(0)} ms`);
    assert.ok(longest <= LONGEST_TASK_MS, `${longest} ms`);
    // What is measured can be seen: a page that hangs is found out.
    await page.evaluate(
      () =>
        new Promise((resolve) => {
          setTimeout(() => {
            const until = performance.now() + 300;
            while (performance.now() < until);
            setTimeout(resolve, 200);
          });
        }),
    );
    assert.ok((await visited.longestTask(start)) >= 290);
  });
});

test("on a phone the main job works, and nothing is wider than the screen", LIMIT, async () => {
  const { token } = await account(demo);
  await visit(
    demo,
    async (visited, page) => {
      const fits = async (where) => {
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(wide <= 0, `${where} is ${wide} pixels too wide`);
      };
      await visited.signIn(token);
      await fits("home");
      await visited.screenshot("phone-home");
      await visited.audit("home on a phone");
      await visited.start(TASK, { files: [CSV] });
      await visited.run("completed").waitFor();
      await page.getByRole("region", { name: "Made in this run" }).getByRole("img").first().waitFor();
      await fits("a thread");
      await visited.screenshot("phone-thread");
      await visited.audit("a thread on a phone");
      await page.getByRole("group", { name: "What is shown" }).getByRole("button", { name: /^Files/ }).click();
      const chart = page.getByRole("region", { name: "Files" }).getByRole("button", { name: /^Download .*\.svg$/ });
      assert.match((await download(page, () => chart.first().click())).name, /\.svg$/);
      await fits("files");
      const main = page.getByRole("navigation", { name: "Main, at the bottom" });
      for (const name of ["Threads", "Runs", "Agents", "Account"]) {
        await main.getByRole("link", { name }).click();
        await page.getByRole("heading", { level: 1, name }).waitFor();
        await fits(name);
      }
    },
    { viewport: PHONE, hasTouch: true, isMobile: true },
  );
});

test("the main job needs no mouse", LIMIT, async () => {
  const { token } = await account(demo);
  await visit(demo, async (visited, page) => {
    const { keyboard } = page;
    /** Presses Tab until something of this name has the focus. */
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
      assert.fail(`nothing called ${name} can be reached`);
    };
    await page.goto(`${demo.url}/`);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    // The field has the focus.
    await keyboard.type(token);
    await keyboard.press("Enter");
    await page.getByRole("heading", { name: "What should run?" }).waitFor();
    await keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
    await tabTo(/^Analyze a table/);
    await keyboard.press("Enter");
    await page.getByRole("list", { name: "Files of this task" }).getByText("data.csv").waitFor();
    await keyboard.press("Control+Enter");
    await visited.run("completed").waitFor();
    await page.getByRole("region", { name: "Made in this run" }).getByRole("img").first().waitFor();
    await tabTo(/^Download .*\.svg$/);
    assert.match((await download(page, () => keyboard.press("Enter"))).name, /\.svg$/);
    await keyboard.press("/");
    await keyboard.type("go");
    assert.equal(await page.getByRole("textbox", { name: "Task" }).inputValue(), "go");
  });
});

test("every page has no serious finding of axe, in the light and in the dark", { timeout: 120_000 }, async () => {
  const { token, client } = await account(demo, { tier: "pro" });
  const agent = await client.agents.create({ name: "Analyst", tags: ["tables"] });
  const run = await client.agents.run({ prompt: TASK, files: [{ name: "data.csv", data: readFileSync(CSV) }] });
  assert.equal((await run.wait()).status, "completed");
  await client.apiKeys.create({ name: "Reader", scopes: ["read"] });
  const places = {
    home: ["#/", "What should run?"],
    threads: ["#/threads", "Threads"],
    thread: [`#/threads/${run.threadId}`, /Analyze/],
    runs: ["#/runs", "Runs"],
    agents: ["#/agents", "Agents"],
    "new-agent": ["#/agents/new", "New agent"],
    agent: [`#/agents/${agent.agentId}`, "Analyst"],
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
            await page.getByRole("region", { name: "Made in this run" }).getByRole("img").first().waitFor();
          }
          await page.waitForLoadState("networkidle").catch(() => {});
          await visited.screenshot(`${name}-${colorScheme}`);
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
  assert.equal(backgrounds.size, 2, "two themes, whichever way they are chosen");
});

test("the API reference is complete and comes from here alone", LIMIT, async () => {
  await visit(demo, async (visited, page) => {
    await page.goto(`${demo.url}/docs`);
    await page.getByText("/agent/start").first().waitFor();
    await page.getByText("/sandboxes/{sandbox_id}/files/content").first().waitFor();
    await visited.screenshot("docs");
    await visited.audit("the API reference");
  });
});

test("a page that breaks the rules is found out", LIMIT, async () => {
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
  await visited.page.waitForTimeout(300);
  assert.equal(await visited.page.evaluate(() => window.injected), undefined, "an injected script does not run");
  await visited.context.close();
  assert.ok(visited.wrong.some((what) => /Content Security Policy/i.test(what)), visited.wrong.join("\n"));
  assert.throws(() => visited.assertClean());
});
