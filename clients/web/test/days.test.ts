// Tests of lists by day.
import assert from "node:assert/strict";
import { test } from "node:test";
import { groupByDay, matches, merged } from "../src/view/days";

test("items are grouped by day, with words for today and yesterday", () => {
  const now = new Date(2026, 2, 1, 9).getTime();
  const items = [
    { name: "a", at: new Date(2026, 2, 1, 8) },
    { name: "b", at: new Date(2026, 2, 1, 0, 1) },
    { name: "c", at: new Date(2026, 1, 28, 23, 59) },
    { name: "d", at: new Date(2026, 1, 27, 12) },
    { name: "e", at: new Date(2025, 2, 1, 8) },
    { name: "f", at: undefined },
  ];
  const groups = groupByDay(items, ({ at }) => at, now);
  assert.deepEqual(
    groups.map(({ label, items }) => [label, items.map(({ name }) => name).join("")]),
    [
      ["Today", "ab"],
      ["Yesterday", "c"],
      ["27 Feb 2026", "d"],
      ["1 Mar 2025", "e"],
      ["Without a date", "f"],
    ],
  );
  assert.deepEqual(groupByDay([], () => undefined, now), []);
});

test("a title matches a search that contains only words of it, in any order and case", () => {
  assert.ok(matches("Analyze the Sales table", "table analyze"));
  assert.ok(matches("Analyze the Sales table", "SAL"));
  assert.ok(!matches("Analyze the Sales table", "table chart"));
});

test("two lists are merged newest first, without repetitions", () => {
  const item = (threadId: string, at: number, from: string) => ({ threadId, updatedAt: new Date(at), from });
  const both = merged([item("b", 2, "first"), item("d", 0, "first")], [item("a", 3, "second"), item("b", 2, "second"), item("c", 1, "second")]);
  assert.equal(both.map(({ threadId, from }) => threadId + from[0]).join(), "as,bf,cs,df");
});
