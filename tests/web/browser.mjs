// Real Chromium for the tests of the console, and what every page of it is held to.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

/** The repository. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Where screenshots and downloads are put. */
export const OUTPUT = `${ROOT}/target/web`;
/** The console as it was built, unless another one is named. */
export const CONSOLE_DIR = process.env.RUNYARD_CONSOLE_DIR ?? `${ROOT}/clients/web/dist`;

mkdirSync(OUTPUT, { recursive: true });

const DESKTOP = { width: 1440, height: 900 };
/** How long a page may take for anything; a slow machine is no fault of the page. */
export const PATIENCE_MS = 90_000;
export const PHONE = { width: 390, height: 844 };

/** Chromium as Debian ships it, or the one that RUNYARD_CHROMIUM names. */
export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.RUNYARD_CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** The most that one task of a page's main thread worked while something was done, in milliseconds of processor time. */
export async function longestWork(browser, page, doing) {
  await browser.startTracing(page, { categories: ["toplevel", "disabled-by-default-devtools.timeline"] });
  let trace;
  try {
    await doing();
  } finally {
    trace = await browser.stopTracing();
  }
  const { traceEvents } = JSON.parse(trace);
  const threadOf = ({ pid, tid }) => `${pid}/${tid}`;
  const named = traceEvents.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain");
  const main = new Set(named.map(threadOf));
  const tasks = traceEvents.filter((event) => event.name === "RunTask" && event.tdur > 0 && main.has(threadOf(event)));
  assert.ok(tasks.length > 0, "tasks were traced");
  return Math.max(...tasks.map(({ tdur }) => tdur / 1_000));
}

/** A page in a browser profile of its own, which notes whatever no page of ours may do. */
export class Visit {
  /** Requests to other origins, errors on the console, exceptions. */
  wrong = [];
  /** Bodies of the scripts that were loaded, by address. */
  scripts = new Map();
  /** How many streams of runs are open, and were at most. */
  streams = { open: 0, most: 0 };
  #pending = new Set();
  #others = [];

  /** Begins one at an origin; `others` are origins that the page may ask, too. */
  static async begin(browser, origin, { viewport = DESKTOP, others = [], ...options } = {}) {
    const visit = new Visit();
    visit.origin = origin;
    visit.#others = others;
    visit.context = await browser.newContext({ viewport, acceptDownloads: true, locale: "en-GB", ...options });
    await visit.context.addInitScript(() => {
      window.longTasks = [];
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) {
          window.longTasks.push({ start: entry.startTime, duration: entry.duration });
        }
      }).observe({ type: "longtask", buffered: true });
    });
    visit.page = await visit.context.newPage();
    visit.page.setDefaultTimeout(PATIENCE_MS);
    visit.#listen();
    return visit;
  }

  #listen() {
    const { page } = this;
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (!["data:", "blob:"].includes(url.protocol) && url.origin !== this.origin && !this.#others.includes(url.origin)) {
        this.wrong.push(`asked another origin: ${url}`);
      }
      if (url.pathname.endsWith("/StreamRuns")) {
        this.streams.open += 1;
        this.streams.most = Math.max(this.streams.most, this.streams.open);
      }
    });
    const closed = (request) => {
      if (request.url().endsWith("/StreamRuns")) {
        this.streams.open -= 1;
      }
    };
    page.on("requestfinished", closed);
    page.on("requestfailed", closed);
    page.on("console", (message) => {
      if (message.type() === "error") {
        this.wrong.push(`console: ${message.text()} (${message.location().url})`);
      }
    });
    page.on("pageerror", (error) => this.wrong.push(`exception: ${error.stack ?? error}`));
    page.on("response", (response) => {
      if (response.request().resourceType() === "script") {
        const body = response.body().then((bytes) => this.scripts.set(response.url(), bytes));
        const kept = body.catch(() => {}).finally(() => this.#pending.delete(kept));
        this.#pending.add(kept);
      }
    });
  }

  /** Waits until the bodies of all scripts so far are there. */
  async settled() {
    await Promise.all(this.#pending);
    return this.scripts;
  }

  /** Waits until something holds, and says what it waited for when it never does. */
  async until(what, holds) {
    const end = Date.now() + PATIENCE_MS;
    while (!(await holds())) {
      assert.ok(Date.now() < end, `${what}: ${JSON.stringify(this.streams)} ${this.wrong.join("\n")}`);
      await this.page.waitForTimeout(50);
    }
  }

  /** Opens the console with a sign-in link. */
  async signIn(token, place = "#/") {
    await this.page.goto(`${this.origin}/#token=${token}`);
    await this.page.getByRole("heading", { name: "What should run?" }).waitFor();
    if (place !== "#/") {
      await this.go(place);
    }
  }

  /** Goes to another place of the console. */
  async go(place) {
    await this.page.evaluate((hash) => {
      location.hash = hash;
    }, place);
  }

  /** Writes a task and starts it. */
  async start(prompt, { files = [] } = {}) {
    const { page } = this;
    if (files.length > 0) {
      await page.getByLabel("Choose files").setInputFiles(files);
    }
    await page.getByRole("textbox", { name: "Task" }).fill(prompt);
    await page.getByRole("button", { name: "Start", exact: true }).click();
  }

  /** The newest run that is shown, in a state. */
  run(state) {
    return this.page.getByRole("region", { name: `Run, ${state}` }).last();
  }

  async screenshot(name) {
    await this.page.screenshot({ path: `${OUTPUT}/${name}.png` });
  }

  /** Fails on serious and critical findings of axe. */
  async audit(where) {
    await this.page.evaluate(AXE);
    const { violations, passes } = await this.page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    assert.ok(passes.length > 5, `axe looked at ${where}`);
    const serious = violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, impact, help, nodes }) => `${impact} ${id}: ${help}\n    ${nodes.map((node) => node.target.join(" ")).join("\n    ")}`);
    assert.deepEqual(serious, [], `${where}:\n  ${serious.join("\n  ")}`);
  }

  /** The longest task that kept the page from answering since `start`, in milliseconds. */
  longestTask(start = 0) {
    return this.page.evaluate(
      (since) => Math.max(0, ...window.longTasks.filter((task) => task.start >= since).map((task) => task.duration)),
      start,
    );
  }

  /** Fails when the page did what no page of ours may do, but for what `expected` matches. */
  assertClean(expected = /$^/) {
    assert.deepEqual(
      this.wrong.filter((what) => !expected.test(what)),
      [],
    );
  }

  /** Ends the visit. */
  async end(expected) {
    await this.context.close();
    this.assertClean(expected);
  }
}
