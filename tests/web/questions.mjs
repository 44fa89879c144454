// An MCP server whose tool asks questions in the middle of a call (protocol revision 2026-07-28). It keeps no state.

import { once } from "node:events";
import { createServer } from "node:http";

const DISCOVERED = { resultType: "complete", supportedVersions: ["2026-07-28"], capabilities: { tools: {} }, ttlMs: 0, cacheScope: "private" };
const TOOLS = [{ name: "book", description: "Books a journey.", inputSchema: { type: "object", properties: { city: { type: "string" } } } }];

export class AskingServer {
  /** The replies to the questions of each call, in order. */
  replies = [];
  #server;

  /** `questions` are messages and schemas, by the name of the question. The result of the call is `result`, a text. */
  static async start(questions, result) {
    const asking = new AskingServer();
    asking.#server = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => (body += chunk));
      request.on("end", () => {
        if (request.method !== "POST") {
          response.writeHead(405).end();
          return;
        }
        const { id, method, params } = JSON.parse(body);
        const answer = asking.#answer(method, params, questions, result);
        if (id === undefined) {
          response.writeHead(202).end();
          return;
        }
        const message = answer ? { result: answer } : { error: { code: -32601, message: "unknown method" } };
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ jsonrpc: "2.0", id, ...message }));
      });
    });
    asking.#server.listen(0, "127.0.0.1");
    await once(asking.#server, "listening");
    asking.url = `http://127.0.0.1:${asking.#server.address().port}/mcp`;
    return asking;
  }

  #answer(method, params, questions, result) {
    switch (method) {
      case "server/discover":
        return DISCOVERED;
      case "tools/list":
        return { resultType: "complete", tools: TOOLS, ttlMs: 0, cacheScope: "private" };
      case "tools/call":
        if (params.inputResponses) {
          this.replies.push(params.inputResponses);
          return { resultType: "complete", content: [{ type: "text", text: result }] };
        }
        return {
          resultType: "input_required",
          requestState: "the state",
          inputRequests: Object.fromEntries(
            Object.entries(questions).map(([name, [message, requestedSchema]]) => [name, { method: "elicitation/create", params: { mode: "form", message, requestedSchema } }]),
          ),
        };
      default:
        return null;
    }
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
