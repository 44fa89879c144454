// Tests of the reader of notebooks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { readNotebook } from "../src/view/notebook";

const cell = (fields: object) => JSON.stringify({ nbformat: 4, metadata: { language_info: { name: "Python" } }, cells: [fields] });

test("a notebook has its cells, with the first type of each output that can be shown", () => {
  const notebook = readNotebook(
    JSON.stringify({
      nbformat: 4,
      metadata: { kernelspec: { language: "R" } },
      cells: [
        { cell_type: "markdown", source: ["# A\n", "text"], attachments: { "a.png": { "image/png": "AAAA" } } },
        { cell_type: "raw", source: "raw" },
        { cell_type: "unknown", source: "x" },
        {
          cell_type: "code",
          execution_count: 3,
          source: "x",
          outputs: [
            { output_type: "stream", name: "stdout", text: ["one\n", "two"] },
            { output_type: "error", ename: "E", evalue: "bad", traceback: ["\u001b[0;31mE\u001b[0m: bad"] },
            { output_type: "display_data", data: { "text/plain": "<Figure>", "image/png": "iVBO\nRw==\n" } },
            { output_type: "execute_result", data: { "text/html": "<script>alert(1)</script>", "text/plain": "table" } },
            { output_type: "execute_result", data: { "text/html": "<b>only</b>" } },
            { output_type: "execute_result", data: { "application/json": { a: 1 } } },
          ],
        },
      ],
    }),
  );
  assert.equal(notebook?.language, "r");
  assert.deepEqual(notebook.cells.map(({ kind }) => kind), ["markdown", "raw", "code"]);
  const [text, , code] = notebook.cells;
  assert.ok(text?.kind === "markdown" && code?.kind === "code");
  assert.equal(text.text, "# A\ntext");
  assert.equal(text.pictures.get("a.png"), "data:image/png;base64,AAAA");
  assert.equal(code.count, 3);
  assert.deepEqual(code.outputs, [
    { kind: "text", text: "one\ntwo", isError: false },
    { kind: "text", text: "E: bad", isError: true },
    { kind: "picture", address: "data:image/png;base64,iVBORw==", text: "<Figure>" },
    { kind: "text", text: "table", isError: false },
    { kind: "hidden", type: "text/html" },
    { kind: "json", value: { a: 1 } },
  ]);
});

test("an image that is not base64 is not shown, and a drawing is encoded", () => {
  const outputs = (data: object) => {
    const found = readNotebook(cell({ cell_type: "code", source: "", outputs: [{ output_type: "display_data", data }] }))?.cells[0];
    return found?.kind === "code" ? found.outputs : null;
  };
  assert.deepEqual(outputs({ "image/png": 'x" onerror="alert(1)' }), [{ kind: "hidden", type: "image/png" }]);
  assert.deepEqual(outputs({ "image/svg+xml": ["<svg>", "#</svg>"] }), [{ kind: "picture", address: "data:image/svg+xml,%3Csvg%3E%23%3C%2Fsvg%3E", text: "" }]);
});

test("other JSON is not a notebook", () => {
  for (const text of ["{}", "[]", "x", '{"cells": []}', '{"nbformat": 3, "cells": []}', '{"nbformat": 4, "cells": {}}']) assert.equal(readNotebook(text), null, text);
  assert.deepEqual(readNotebook('{"nbformat": 4, "cells": [null, 1]}'), { language: "", cells: [] });
});
