// Starts Chromium for the console tests, and checks the rules that every page must follow.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

/** Path of the repository, without a slash at the end. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const OUTPUT = `${ROOT}/target/web`;
/** Folder of the built console. RUNYARD_CONSOLE_DIR overrides the default. */
export const CONSOLE_DIR = process.env.RUNYARD_CONSOLE_DIR ?? `${ROOT}/clients/web/dist`;

mkdirSync(OUTPUT, { recursive: true });

const DESKTOP = { width: 1440, height: 900 };
/** Timeout in milliseconds for every wait on a page. It is long enough for a slow machine. */
export const PATIENCE_MS = 90_000;
export const PHONE = { width: 390, height: 844 };

/** Starts Debian's Chromium. RUNYARD_CHROMIUM is the path of another Chromium. */
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

/** Runs `doing`. Returns the CPU time of the page's longest main-thread task during `doing`, in milliseconds. */
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
  assert.ok(tasks.length > 0, "no tasks were traced");
  return Math.max(...tasks.map(({ tdur }) => tdur / 1_000));
}

/** A page in a new browser profile. It records rule violations. */
export class Visit {
  /** The recorded rule violations: requests to other origins, errors in the browser console, and exceptions. */
  wrong = [];
  scripts = new Map();
  /** Number of open run streams now, and the maximum so far. */
  streams = { open: 0, most: 0 };
  #pending = new Set();
  #others = [];

  /** Opens a page at an origin. The page may also send requests to the origins in `others`. */
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
    // The limit holds for every tab of the profile.
    visit.context.setDefaultTimeout(PATIENCE_MS);
    visit.page = await visit.context.newPage();
    visit.#listen();
    return visit;
  }

  #listen() {
    const { page } = this;
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (!["data:", "blob:"].includes(url.protocol) && url.origin !== this.origin && !this.#others.includes(url.origin)) {
        this.wrong.push(`request to another origin: ${url}`);
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

  /** Waits for the bodies of all scripts that the page has loaded so far; returns the scripts. */
  async settled() {
    await Promise.all(this.#pending);
    return this.scripts;
  }

  /** Waits until `holds` returns true. The failure message contains `what`, the name of the condition. */
  async until(what, holds) {
    const end = Date.now() + PATIENCE_MS;
    while (!(await holds())) {
      assert.ok(Date.now() < end, `${what}: ${JSON.stringify(this.streams)} ${this.wrong.join("\n")}`);
      await this.page.waitForTimeout(50);
    }
  }

  /** Runs `doing`. If it fails, takes a screenshot and adds what the page did wrong to the error. */
  async attempt(doing) {
    try {
      await doing();
    } catch (error) {
      await this.screenshot(`failed-${Date.now()}`).catch(() => {});
      await this.context.close();
      throw new Error(`${error.message}\nThe page did: ${this.wrong.join("\n") || "nothing wrong"}`, { cause: error });
    }
  }

  /** Signs in with a sign-in link and opens a page of the console, given as a URL fragment. */
  async signIn(token, place = "#/") {
    await this.page.goto(`${this.origin}/#token=${token}`);
    await this.page.getByRole("heading", { name: "What should the agent do?" }).waitFor();
    if (place !== "#/") {
      await this.go(place);
    }
  }

  /** Opens another page of the console, given as a URL fragment. */
  async go(place) {
    await this.page.evaluate((hash) => {
      location.hash = hash;
    }, place);
  }

  async start(prompt, { files = [] } = {}) {
    const { page } = this;
    if (files.length > 0) {
      await page.getByLabel("Choose files").setInputFiles(files);
    }
    await page.getByRole("textbox", { name: "Task" }).fill(prompt);
    // In a thread with an active run, the button says where the task goes.
    await page.getByRole("button", { name: /^(Start|Send)$/ }).click();
  }

  run(state) {
    return this.page.getByRole("region", { name: `Run, ${state}` }).last();
  }

  async screenshot(name) {
    await this.page.screenshot({ path: `${OUTPUT}/${name}.png` });
  }

  /** Fails if axe reports a serious or critical accessibility problem. */
  async audit(where) {
    await this.page.evaluate(AXE);
    const { violations, passes } = await this.page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    assert.ok(passes.length > 5, `axe checked too little of ${where}`);
    const serious = violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, impact, help, nodes }) => `${impact} ${id}: ${help}\n    ${nodes.map((node) => node.target.join(" ")).join("\n    ")}`);
    assert.deepEqual(serious, [], `${where}:\n  ${serious.join("\n  ")}`);
  }

  /**
   * Returns the duration in milliseconds of the longest main-thread task that began at or after `start`, a time of
   * `performance.now()`.
   */
  longestTask(start = 0) {
    return this.page.evaluate(
      (since) => Math.max(0, ...window.longTasks.filter((task) => task.start >= since).map((task) => task.duration)),
      start,
    );
  }

  /** Fails if the page broke a rule. Violations that match `expected` are ignored. */
  assertClean(expected = /$^/) {
    assert.deepEqual(
      this.wrong.filter((what) => !expected.test(what)),
      [],
    );
  }

  async end(expected) {
    await this.context.close();
    this.assertClean(expected);
  }
}
