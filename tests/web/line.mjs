// The network between a browser and a server, as far as a test needs it: it can be cut, and mended.

import { connect, createServer } from "node:net";

export class Line {
  /** The server as it is seen from the other end. */
  url = "";
  #listener;
  #sockets = new Set();
  #isCut = false;

  /** Lays a line to a server. */
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

  /** Ends every connection, and takes no new ones. */
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
