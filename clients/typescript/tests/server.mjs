// Starts a server with the scripted model through tests/clients/serve.py.

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

  static async start(...args) {
    const server = new Server();
    server.#child = spawn("python3", [SERVE, ...args], {
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

  // Responses do not name their command, so each command waits for the previous response.
  ask(command) {
    this.#last = this.#last
      .catch(() => {})
      .then(() => {
        this.#child.stdin.write(`${JSON.stringify(command)}\n`);
        return this.#line();
      });
    return this.#last;
  }

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
