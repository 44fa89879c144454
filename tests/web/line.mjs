// A TCP proxy between browser and server that simulates a network outage.

import { connect, createServer } from "node:net";

export class Line {
  url = "";
  #listener;
  #sockets = new Set();
  #isCut = false;

  static async to(url) {
    const { hostname, port } = new URL(url);
    const line = new Line();
    line.#listener = createServer((near) => {
      if (line.#isCut) {
        near.destroy();
        return;
      }
      const far = connect(Number(port), hostname);
      line.#hold(near, far);
      line.#hold(far, near);
      near.pipe(far).pipe(near);
    });
    await new Promise((resolve) => line.#listener.listen(0, "127.0.0.1", resolve));
    line.url = `http://127.0.0.1:${line.#listener.address().port}`;
    return line;
  }

  #hold(socket, other) {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#sockets.delete(socket);
      other.destroy();
    });
  }

  /** Closes every connection and refuses new ones. */
  cut() {
    this.#isCut = true;
    for (const socket of this.#sockets) {
      socket.destroy();
    }
  }

  mend() {
    this.#isCut = false;
  }

  async close() {
    this.cut();
    await new Promise((resolve) => this.#listener.close(resolve));
  }
}
