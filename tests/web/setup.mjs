// Starts the browser and the server of a test file before its tests, and stops them afterwards.

import { after, before } from "node:test";
import { Runyard } from "../../clients/typescript/dist/index.js";
import { Server } from "../../clients/typescript/tests/server.mjs";
import { CONSOLE_DIR, startBrowser, Visit } from "./browser.mjs";

/** Time limit of a test, long enough for a slow machine. */
export const LIMIT = { timeout: 400_000 };

class Yard {
  browser;
  server;

  /** Opens a page of the console in a new browser profile. */
  begin(options = {}) {
    return Visit.begin(this.browser, this.server.url, options);
  }

  /** Runs `doing` with a new page. */
  async visit(doing, options = {}) {
    const visited = await this.begin(options);
    await visited.attempt(() => doing(visited, visited.page));
    await visited.end();
  }

  /** A new account with the largest plan. */
  async account() {
    const { token } = await this.server.ask({ do: "token", tier: "enterprise" });
    return { token, client: new Runyard({ baseUrl: this.server.url, token }) };
  }
}

export function setUp() {
  const yard = new Yard();
  before(async () => {
    const started = await Promise.allSettled([startBrowser(), Server.start(`RUNYARD_CONSOLE_DIR=${CONSOLE_DIR}`)]);
    [yard.browser, yard.server] = started.map(({ value }) => value);
    for (const { reason } of started.filter(({ status }) => status === "rejected")) {
      throw reason;
    }
  }, LIMIT);
  after(async () => {
    await Promise.allSettled([yard.browser?.close(), yard.server?.close()]);
  });
  return yard;
}
