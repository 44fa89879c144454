// Tests of the requests of "Try it".
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Document, Operation, Placed } from "../src/docs/openapi";
import { draftOf, fieldsOf, isPublic, kindsOf, problemOf, requestOf } from "../src/docs/request";

const DOCUMENT: Document = {
  info: { title: "A", version: "1" },
  paths: {},
  components: { schemas: { Start: { required: ["prompt"], properties: { mode: { type: "string" }, prompt: { type: "string", default: "Hello" } } } }, responses: {} },
};

function placed(method: string, path: string, operation: Partial<Operation>): Placed {
  return { method, path, operation: { operationId: "x", tags: [], responses: {}, ...operation } };
}

test("parameters go into the path, the query and the headers, and empty ones are left out", () => {
  const list = placed("get", "/threads/{thread_id}/messages", {
    parameters: [
      { name: "thread_id", in: "path" },
      { name: "page_size", in: "query" },
      { name: "ids", in: "query", schema: { type: "array" } },
      { name: "Last-Event-ID", in: "header" },
    ],
  });
  const draft = draftOf(DOCUMENT, list);
  assert.equal(problemOf(list, draft), "Enter thread_id.");
  const filled = { ...draft, parameters: { thread_id: "a/b", page_size: " ", ids: "1, 2", "Last-Event-ID": "7" } };
  assert.equal(problemOf(list, filled), null);
  assert.deepEqual(requestOf(list, filled, "secret"), {
    url: "/threads/a%2Fb/messages?ids=1&ids=2",
    init: { method: "GET", headers: { Authorization: "Bearer secret", "Last-Event-ID": "7" } },
  });
});

test("a JSON body begins with examples of the required values and must be valid", () => {
  const create = placed("post", "/x", { security: [], requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/Start" } } } } });
  const draft = draftOf(DOCUMENT, create);
  assert.deepEqual([draft.kind, JSON.parse(draft.json)], ["json", { prompt: "Hello" }]);
  assert.ok(isPublic(create) && !isPublic(placed("get", "/", {})));
  assert.match(problemOf(create, { ...draft, json: "{" }) ?? "", /^The body is not valid JSON/);
  const { init } = requestOf(create, draft, null);
  assert.deepEqual([init.headers, init.body], [{ "Content-Type": "application/json" }, draft.json]);
});

test("a form takes files and leaves out empty fields", () => {
  const start = placed("post", "/start", {
    requestBody: {
      content: {
        "application/json": { schema: { $ref: "#/components/schemas/Start" } },
        "multipart/form-data": {
          schema: {
            properties: {
              mode: { type: "string", enum: ["code", "chat"] },
              files: { type: "array", items: { type: "string", format: "binary" } },
              prompt: { type: "string" },
            },
          },
        },
      },
    },
  });
  assert.deepEqual(kindsOf(DOCUMENT, start), ["form", "json"]);
  assert.deepEqual(
    fieldsOf(DOCUMENT, start).map(({ name, takes }) => [name, takes]),
    [
      ["prompt", "text"],
      ["files", "files"],
      ["mode", "text"],
    ],
  );
  const file = new File(["a,b"], "data.csv");
  const { init } = requestOf(start, { ...draftOf(DOCUMENT, start), fields: { prompt: "Count", mode: "" }, files: { files: [file, file] } }, "t");
  const form = init.body as FormData;
  assert.deepEqual([[...form.keys()], form.get("prompt")], [["prompt", "files", "files"], "Count"]);
  assert.deepEqual(init.headers, { Authorization: "Bearer t" }, "the browser adds the boundary");
});
