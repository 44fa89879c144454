// A real server with the scripted model, as tests/clients/serve.py gives it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";
import { Runyard } from "../dist/index.js";

const SERVE = fileURLToPath(new URL("../../../tests/clients/serve.py", import.meta.url));

export class Server {
  #child;
  #lines;
  #last = Promise.resolve();

  /** Starts one; what serve.py may be told stands there. */
  static async start(...told) {
    const server = new Server();
    server.#child = spawn("python3", [SERVE, ...told], {
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    server.#lines = createInterface({ input: server.#child.stdout })[Symbol.asyncIterator]();
    Object.assign(server, await server.#line());
    return server;
  }

  async #line() {
    const { value, done } = await this.#lines.next();
    if (done) {
      throw new Error("serve.py has ended");
    }
    const answer = JSON.parse(value);
    if (answer.error) {
      throw new Error(answer.error);
    }
    return answer;
  }

  // One command after another: the answers have no names.
  ask(command) {
    this.#last = this.#last
      .catch(() => {})
      .then(() => {
        this.#child.stdin.write(`${JSON.stringify(command)}\n`);
        return this.#line();
      });
    return this.#last;
  }

  /** A client of a new account. */
  async client(wanted = {}, options = {}) {
    const { token } = await this.ask({ do: "token", ...wanted });
    return new Runyard({ baseUrl: this.url, token, ...options });
  }

  async close() {
    this.#child.stdin.end();
    if (this.#child.exitCode === null) {
      await once(this.#child, "exit");
    }
  }
}
