import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "../src/router";
import { fromFragment, fromPaste } from "../src/session";
import { turns } from "../src/stores/thread";
import { difference, unified } from "../src/view/diff";
import { bytes, credits, duration, short, withoutMarks } from "../src/view/format";
import { writtenBy } from "../src/view/output";
import { explain, explainFailure } from "../src/view/refusal";
import { withoutRepeated } from "../src/view/shared";
import { isNumeric, nextOrder, readTable, sorted } from "../src/view/table";
import { everyDay, groupUsage, largest, usageCsv } from "../src/view/usage";

test("quoted cells may contain quotes, separators and newlines", () => {
  const table = readTable('\ufeffname;note;units\r\n"A; B";"said ""yes""";1\r\nC;"two\nlines";2.5\r\n', 10);
  assert.deepEqual(table.header, ["name", "note", "units"]);
  assert.deepEqual(table.rows, [["A; B", 'said "yes"', "1"], ["C", "two\nlines", "2.5"]]);
  assert.equal(table.more, false);
  assert.equal(isNumeric(table, 2), true);
  assert.equal(isNumeric(table, 0), false);
});

test("a long table is truncated", () => {
  const table = readTable("a,b\n" + "1,2\n".repeat(100), 10);
  assert.equal(table.rows.length, 10);
  assert.equal(table.more, true);
  assert.equal(readTable("a,b\n" + "1,2\n".repeat(10), 10).more, false);
});

test("a click on a column sorts its rows, numbers by value and empty cells last", () => {
  const table = readTable("name,units\nb,9\nA,\"1,200\"\nc,\nb,30\n", 10);
  const names = (column: number, direction: "ascending" | "descending") => sorted(table, { column, direction }).map((row) => row.join("/"));
  assert.deepEqual(names(1, "ascending"), ["b/9", "b/30", "A/1,200", "c/"]);
  assert.deepEqual(names(1, "descending"), ["A/1,200", "b/30", "b/9", "c/"]);
  assert.deepEqual(names(0, "ascending"), ["A/1,200", "b/9", "b/30", "c/"]);
  assert.deepEqual(sorted(table, null).map(([name]) => name), ["b", "A", "c", "b"]);
  const first = nextOrder(null, 1);
  assert.deepEqual(first, { column: 1, direction: "ascending" });
  assert.deepEqual(nextOrder(first, 1), { column: 1, direction: "descending" });
  assert.equal(nextOrder(nextOrder(first, 1), 1), null);
  assert.deepEqual(nextOrder(first, 0), { column: 0, direction: "ascending" });
});

test("difference lists the changed lines with context", () => {
  const before = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].join("\n");
  const after = before.replace("e", "E").replace("f\n", "");
  const lines = difference(before, after);
  assert.deepEqual(lines.filter(({ kind }) => kind === "removed").map(({ text }) => text), ["e", "f"]);
  assert.deepEqual(lines.filter(({ kind }) => kind === "added").map(({ text }) => text), ["E"]);
  assert.deepEqual(lines[0], { kind: "place", text: "1 unchanged line" });
  assert.deepEqual(difference(before, before), []);
  assert.deepEqual(difference("", "a\n\nb").map(({ kind }) => kind), ["added", "added", "added"]);
  assert.deepEqual(difference("a", "").map(({ kind }) => kind), ["removed"]);
});

test("both texts can be rebuilt from their difference", () => {
  const words = ["x", "y", "z"];
  let seed = 7;
  const next = () => (seed = (seed * 48271) % 2147483647);
  for (let round = 0; round < 200; round += 1) {
    const some = () => Array.from({ length: next() % 8 }, () => words[next() % 3]!).join("\n");
    const [left, right] = [some(), some()];
    if (left === right) continue;
    const lines = difference(left, right);
    const rebuild = (side: "removed" | "added") => lines.filter(({ kind }) => kind === "same" || kind === side).map(({ text }) => text).join("\n");
    // A diff with skipped lines does not contain the whole texts.
    if (lines.some(({ kind }) => kind === "place")) continue;
    assert.equal(rebuild("removed"), left);
    assert.equal(rebuild("added"), right);
  }
});

test("a unified diff is parsed into lines", () => {
  assert.deepEqual(unified("@@ -1,2 +1,2 @@\n same\n-old\n+new").map(({ kind, text }) => [kind, text]), [
    ["place", "@@ -1,2 +1,2 @@"],
    ["same", "same"],
    ["removed", "old"],
    ["added", "new"],
  ]);
});

test("error messages name the next step", () => {
  const full = explain({
    errorCode: "AGENT_RUN_LIMIT_EXCEEDED",
    message: "…",
    details: { runningThreadIds: ["t1"], runningCount: 1, limit: 1, tierName: "free" },
  });
  assert.equal(full.text, "The free plan allows 1 concurrent run, and one is running. Wait for a run to end, or stop one.");
  assert.deepEqual(full.links.map(({ to }) => to), ["/threads/t1", "/runs"]);
  assert.equal(full.again, true);
  const agents = explain({ errorCode: "AGENT_LIMIT_EXCEEDED", message: "", details: { currentCount: 3, limit: 3, tierName: "free" } });
  assert.equal(agents.text, "The free plan allows 3 agents. Delete an agent you no longer need.");
  for (const refused of [full, agents, explain({ errorCode: "INSUFFICIENT_CREDITS", message: "" })]) {
    assert.match(JSON.stringify(refused.operator), /RUNYARD_LIMITS=off/);
  }
  assert.equal(explain({ errorCode: "THREAD_BUSY", message: "" }).operator, null);
  const throttled = explain({ errorCode: "THROTTLED", message: "too many open streams; close some", retryAfter: 1.2 });
  assert.equal(throttled.text, "Too many open streams; close some. Try again in 2 seconds.");
  const unavailable = explain({ errorCode: "UNAVAILABLE", message: "the disk is almost full" });
  assert.deepEqual([unavailable.text, unavailable.again], ["The disk is almost full.", true]);
  assert.equal(explain({ errorCode: "INTERNAL", message: "x", requestId: "r1" }).requestId, "r1");
  const other = explain({ errorCode: "INVALID_REQUEST", message: "agent name is required" });
  assert.deepEqual([other.title, other.text], ["Invalid request", "Agent name is required."]);
  assert.equal(explainFailure("RUN_TIMEOUT", null), "The run reached its time limit. Continue the thread to resume from here.");
  assert.equal(explainFailure(null, "it broke"), "It broke.");
});

test("paths are parsed into places", () => {
  assert.deepEqual(parse("/"), { screen: "home" });
  assert.deepEqual(parse("/threads/abc"), { screen: "thread", threadId: "abc" });
  assert.deepEqual(parse("/usage"), { screen: "usage" });
  assert.deepEqual(parse("/shared/rys_a-b_c"), { screen: "shared", token: "rys_a-b_c" });
  assert.deepEqual(parse("/agents/new"), { screen: "agent", agentId: null, tab: "settings" });
  assert.deepEqual(parse("/agents/abc/versions"), { screen: "agent", agentId: "abc", tab: "versions" });
  for (const wrong of ["/nowhere", "/agents/abc/else", "/threads/a/b", "/runs/x", "/usage/x", "/a/b/c/d", "/threads/%"]) {
    assert.equal(parse(wrong).screen, wrong === "/threads/%" ? "thread" : "missing", wrong);
  }
});

test("a shared thread leaves out partial answers that were repeated", () => {
  const message = (role: string, partial = false) => ({ role, partial });
  const [prompt, cut, answer] = [message("user"), message("assistant", true), message("assistant")];
  assert.deepEqual(withoutRepeated([prompt, cut, answer]), [prompt, answer]);
  assert.deepEqual(withoutRepeated([cut, prompt, answer, cut]), [cut, prompt, answer, cut]);
});

test("a token is extracted from a link or from pasted text", () => {
  assert.equal(fromFragment("#token=abc.def"), "abc.def");
  assert.equal(fromFragment("#/?token=abc"), "abc");
  assert.equal(fromFragment("#/threads/abc"), null);
  assert.equal(fromFragment("#token="), null);
  assert.equal(fromPaste('  "abc.def" '), "abc.def");
  assert.equal(fromPaste("Bearer abc.def"), "abc.def");
  assert.equal(fromPaste("http://127.0.0.1:8080/#token=abc.def"), "abc.def");
});

test("turns are ordered by time", () => {
  const said = (messageId: string, role: string, second: number, agentRunId?: string) =>
    ({ messageId, role, content: messageId, agentRunId, createdAt: new Date(second * 1000), files: [], toolCalls: [] }) as never;
  const run = (agentRunId: string, second: number) => ({ agentRunId, createdAt: new Date(second * 1000) }) as never;
  const made = turns({
    messages: [said("q1", "user", 1, "r1"), said("a1", "assistant", 2, "r1"), said("tool", "tool", 3, "r1"), said("note", "user", 4), said("q2", "user", 5, "r2")],
    runs: [run("r1", 1), run("r2", 5)],
  });
  assert.deepEqual(
    made.map(({ key, prompt, answers }) => [key, prompt?.content ?? null, answers.map(({ content }) => content)]),
    [["r1", "q1", ["a1"]], ["note", "note", []], ["r2", "q2", []]],
  );
});

test("charges are summed per day, thread and run", () => {
  const entry = (agentRunId: string, threadId: string, at: string, cost: number) => ({ agentRunId, threadId, createdAt: new Date(at), inputTokens: 10, outputTokens: 1, credits: cost }) as never;
  const entries = [entry("r2", "t1", "2026-11-21T01:00:00Z", 2), entry("r1", "t1", "2026-11-20T23:00:00Z", 1), entry("r0", "t0", "2026-11-20T01:00:00Z", 4)];
  assert.deepEqual(groupUsage(entries, "day").map(({ key, credits, calls }) => [key, credits, calls]), [["2026-11-21", 2, 1], ["2026-11-20", 5, 2]]);
  assert.deepEqual(groupUsage(entries, "thread").map(({ key, credits }) => [key, credits]), [["t1", 3], ["t0", 4]]);
  assert.equal(groupUsage(entries, "run").length, 3);
  const agentOf = (runId: string) => (runId === "r0" ? "a0" : "a1");
  assert.deepEqual(groupUsage(entries, "agent", agentOf).map(({ key, credits }) => [key, credits]), [["a1", 3], ["a0", 4]]);
  const now = Date.parse("2026-11-22T10:00:00Z");
  assert.deepEqual(everyDay(groupUsage(entries, "day"), 4, now).map(({ key, credits }) => [key, credits]), [
    ["2026-11-19", 0],
    ["2026-11-20", 5],
    ["2026-11-21", 2],
    ["2026-11-22", 0],
  ]);
  assert.deepEqual(largest(groupUsage(entries, "run"), "credits", 1, "rest").map(({ key, credits, calls }) => [key, credits, calls]), [["r0", 4, 1], ["rest", 3, 2]]);
  assert.equal(largest(groupUsage(entries, "run"), "calls", 3, "rest").length, 3);
});

test("usage is exported as CSV, and a name never becomes a formula", () => {
  const group = { key: "t1", threadId: "t1", calls: 2, inputTokens: 10, outputTokens: 1, credits: 0.5 };
  assert.equal(usageCsv([group], "thread", () => '=HYPERLINK("x"), y'), 'thread,thread_id,model_calls,input_tokens,output_tokens,credits\r\n"\'=HYPERLINK(""x""), y",t1,2,10,1,0.5\r\n');
  assert.equal(usageCsv([{ ...group, key: "2026-11-21" }], "day", ({ key }) => key), "day,model_calls,input_tokens,output_tokens,credits\r\n2026-11-21,2,10,1,0.5\r\n");
});

test("a file counts as output although its time lags behind the clock by a tick", () => {
  const file = (path: string, modifiedAt: number, isDir = false) => ({ path, modifiedAt: new Date(modifiedAt), isDir }) as never;
  const files = [file("old.csv", 4_000), file("data.csv", 4_998), file("lagging.svg", 4_998), file("new.svg", 5_000), file("output", 5_001, true)];
  const paths = (attached: string[]) => writtenBy(files, 5_000, attached).map(({ path }) => path);
  assert.deepEqual(paths(["data.csv"]), ["lagging.svg", "new.svg"]);
  assert.deepEqual(paths(["new.svg"]), ["data.csv", "lagging.svg", "new.svg"]);
});

test("numbers, sizes and durations are formatted", () => {
  assert.deepEqual([bytes(999), bytes(12_459), bytes(10_000_000)], ["999 B", "12.5 kB", "10 MB"]);
  assert.deepEqual([duration(0), duration(40), duration(309), duration(12_400), duration(200_000), duration(3_720_000)], ["< 1 ms", "40 ms", "0.3 s", "12 s", "3 min 20 s", "1 h 2 min"]);
  assert.deepEqual([short(999), short(19_722), short(1_500_000)], ["999", "19.7k", "1.5M"]);
  assert.deepEqual([credits(300), credits(0.00123), credits(12.345)], ["300", "0.0012", "12.35"]);
});

test("a search result shows no marks of Markdown", () => {
  assert.equal(withoutMarks(" (number). **"), " (number). ");
  assert.equal(withoutMarks("run `make` with 2 * 3 and a_b"), "run make with 2 * 3 and a_b");
});

test("a missing thread is explained without repeating the title", () => {
  const { title, text, links } = explain({ errorCode: "THREAD_NOT_FOUND", message: "Thread not found" });
  assert.equal(title, "Thread not found");
  assert.equal(text, "It may have been deleted, or it belongs to another account.");
  assert.deepEqual(links, [{ label: "View threads", to: "/threads" }]);
});
