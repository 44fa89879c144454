// A third-party page that uses @runyard/client, built with Vite and served from its own origin.

import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "./browser.mjs";

const run = promisify(execFile);
const TYPES = { ".html": "text/html", ".js": "text/javascript" };

export class Site {
  /** Base URL of the Runyard server. A test sets it after the server has started. */
  server = "";
  /** The token that the page's backend returns. */
  token = "";

  /** Builds the page and serves it on a free loopback port. */
  static async build(page) {
    const site = new Site();
    site.folder = mkdtempSync(join(tmpdir(), "runyard-site-"));
    writeFileSync(join(site.folder, "index.html"), page);
    writeFileSync(join(site.folder, "package.json"), '{ "private": true, "type": "module" }');
    mkdirSync(join(site.folder, "node_modules/@runyard"), { recursive: true });
    symlinkSync(join(ROOT, "clients/typescript"), join(site.folder, "node_modules/@runyard/client"));
    // A placeholder for the server's URL, which is not known yet: the server starts later, because its configuration
    // needs the origin of this page.
    const env = { ...process.env, VITE_RUNYARD_SERVER: "RUNYARD-SERVER" };
    await run(process.execPath, [join(ROOT, "clients/web/node_modules/vite/bin/vite.js"), "build", "--logLevel", "error"], {
      cwd: site.folder,
      env,
    });
    site.http = createServer((request, response) => site.#answer(request, response));
    await new Promise((resolve) => site.http.listen(0, "127.0.0.1", resolve));
    site.origin = `http://127.0.0.1:${site.http.address().port}`;
    return site;
  }

  #answer(request, response) {
    const path = normalize(new URL(request.url, this.origin).pathname);
    try {
      if (path === "/token") {
        response.end(this.token);
        return;
      }
      const file = path === "/" ? "/index.html" : path;
      const content = readFileSync(join(this.folder, "dist", file), "utf8");
      response.setHeader("content-type", TYPES[extname(file)] ?? "application/octet-stream");
      response.end(content.replace("RUNYARD-SERVER", this.server));
    } catch {
      // The browser also sends its own requests, for example for the favicon.
      response.statusCode = 204;
      response.end();
    }
  }

  async close() {
    this.http.closeAllConnections();
    await new Promise((resolve) => this.http.close(resolve));
    rmSync(this.folder, { recursive: true });
  }
}
