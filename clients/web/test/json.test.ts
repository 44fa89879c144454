// Tests of the tree view of JSON, and of colours.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Coloured, coloured } from "../src/view/grammar";
import { entriesOf, readJson, summaryOf, tableOf } from "../src/view/json";

test("JSON is read as a document or as lines, and other text is not JSON", () => {
  assert.deepEqual(readJson('{"a": [1, null]}', false), { a: [1, null] });
  assert.deepEqual(readJson('{"a": 1}\n\n{"a": 2}\n', true), [{ a: 1 }, { a: 2 }]);
  assert.equal(readJson('{"a": 1}\n{"a": 2}', false), null);
  assert.equal(readJson("{cut off", false), null);
});

test("a branch is summarised by its size, and a leaf by its value", () => {
  assert.equal(summaryOf([1]), "[1 item]");
  assert.equal(summaryOf({ a: 1, b: 2 }), "{2 fields}");
  assert.equal(summaryOf('say "hi"'), '"say \\"hi\\""');
  assert.deepEqual(entriesOf(["x"]), [["0", "x"]]);
  assert.equal(entriesOf(null), null);
});

const plain = (parts: readonly Coloured[]): string => parts.map((part) => (typeof part === "string" ? part : plain(part.parts))).join("");

test("colours keep the text, and an unknown language has none", () => {
  for (const [language, text] of [
    ["py", 'def f(x):\n    return "<b>" + x  # note\n'],
    ["tsx", "const a: number = 1; // <b>"],
    ["ipynb", '{"a": 1}'],
  ] as const) {
    const parts = coloured(text, language);
    assert.ok(parts?.some((part) => typeof part !== "string" && part.classes.startsWith("hljs-")), language);
    assert.equal(plain(parts ?? []), text);
  }
  assert.equal(coloured("text", "klingon"), null);
});

test("a list of objects becomes a table, and another value does not", () => {
  assert.deepEqual(tableOf([{ a: 1, b: "x" }, { b: { c: [1] }, a: null }, { __proto__: "no", d: true }]), {
    header: ["a", "b", "d"],
    rows: [["1", "x", ""], ["", '{"c":[1]}', ""], ["", "", "true"]],
    more: false,
  });
  for (const value of [null, {}, [], [1], [{ a: 1 }, null], [[1]], [{}]]) assert.equal(tableOf(value), null, JSON.stringify(value));
});
