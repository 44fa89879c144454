// Tests of the tree view of JSON, and of colours.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Coloured, coloured } from "../src/view/grammar";
import { languageOf, linesOf } from "../src/view/colours";
import { type Json, entriesOf, isFlat, listIn, readJson, readResult, summaryOf, tableOf } from "../src/view/json";

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

test("a list of flat objects is shown as a table, also as the only field of an object", () => {
  const rows: Json = [{ a: 1, b: null }, { a: "x", c: false }];
  assert.equal(isFlat(rows), true);
  assert.equal(listIn({ orders: rows }), rows);
  assert.equal(listIn(rows), rows);
  for (const value of [{ orders: rows, next: 2 } as Json, { orders: "none" }, "text", null]) assert.deepEqual(listIn(value), value);
  for (const value of [null, {}, [], [1], [null], [[1]], [{ a: [] }], [{ a: 1 }, { a: { b: 1 } }]]) assert.equal(isFlat(value), false, JSON.stringify(value));
});

test("a result is JSON if it is a list or an object with content", () => {
  assert.deepEqual(readResult(' [{"a": 1}]\n'), [{ a: 1 }]);
  assert.deepEqual(readResult('{"a": 1}'), { a: 1 });
  for (const text of ["", "3", '"a"', "[]", "{}", "[exit status 1]", '{"a": ', "x [1]", `[${"1,".repeat(200_000)}1]`]) assert.equal(readResult(text), null, text.slice(0, 20));
});

test("a coloured text is split into lines, which keep their colours and their text", () => {
  for (const [language, text] of [
    ["py", 'a = """one\n\n  two"""\n# end'],
    ["py", ""],
    ["json", '{\n  "a": [1]\n}\n'],
  ] as const) {
    assert.deepEqual(linesOf(coloured(text, language)!).map(plain), text.split("\n"));
  }
  const string = { classes: "hljs-string", parts: ["a\nb"] };
  assert.deepEqual(linesOf(["x ", string]), [["x ", { ...string, parts: ["a"] }], [{ ...string, parts: ["b"] }]]);
});

test("the language of a file is its extension, or the name of a file without one", () => {
  assert.deepEqual(["src/a.TS", "Makefile", "v1.2/Dockerfile", ""].map(languageOf), ["ts", "makefile", "dockerfile", ""]);
});
