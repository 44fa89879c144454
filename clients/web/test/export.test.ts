// Tests of the export of threads, and of the messages that a branch copies.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunRecord, Thread, ThreadMessage } from "@runyard/client";
import { taskText, turns } from "../src/stores/thread";
import { copiedMessages } from "../src/view/branch";
import { exportName, exported } from "../src/view/export";

const message = (role: string, content: string, second: number, fields: object = {}) =>
  ({ messageId: `${role}-${second}`, role, content, files: [], toolCalls: [], partial: false, createdAt: new Date(second * 1000), ...fields }) as unknown as ThreadMessage;
const run = (agentRunId: string, second: number) => ({ agentRunId, modelName: "kortix/basic", createdAt: new Date(second * 1000) }) as unknown as RunRecord;

const MESSAGES = [
  message("user", "First task", 1, { agentRunId: "r1", files: ["data.csv"] }),
  message("assistant", "Looking.", 2, { agentRunId: "r1", toolCalls: [{ name: "bash", arguments: { command: "ls" } }] }),
  message("tool", "```\ndata.csv", 3, { agentRunId: "r1" }),
  message("user", "Be quick", 4, { agentRunId: "r1", delivery: "read" }),
  message("assistant", "Done.", 5, { agentRunId: "r1" }),
  message("user", "Second task", 6, { agentRunId: "r2" }),
  message("assistant", "Half", 7, { agentRunId: "r2", partial: true }),
  message("user", "A note", 8),
];
const RUNS = [run("r1", 1), run("r2", 6), run("r3", 9)];
const ALL = turns({ messages: MESSAGES, runs: RUNS });

test("a branch copies the texts up to a turn, and joins texts of one author in a row", () => {
  assert.deepEqual(copiedMessages(ALL, 0, true), [
    { role: "user", content: "First task" },
    { role: "assistant", content: "Looking." },
    { role: "user", content: "Be quick" },
    { role: "assistant", content: "Done." },
  ]);
  assert.deepEqual(copiedMessages(ALL, 0, false), []);
  assert.deepEqual(copiedMessages(ALL, 1, true).slice(4), [
    { role: "user", content: "Second task" },
    { role: "assistant", content: "Half" },
  ]);
  const twice = turns({ messages: [message("user", "One", 1), message("user", "Two", 2)], runs: [] });
  assert.deepEqual(copiedMessages(twice, 1, true), [{ role: "user", content: "One\n\nTwo" }]);
});

test("the task of a run without a prompt is the message before it", () => {
  assert.deepEqual(ALL.map((_turn, at) => taskText(ALL, at)), ["First task", "Second task", "A note", "A note"]);
  const bare = turns({ messages: MESSAGES.slice(0, 5), runs: [run("r1", 1), run("r2", 6)] });
  assert.equal(taskText(bare, 1), null);
});

test("a thread is exported as Markdown with fences that its texts cannot close", () => {
  const thread = { threadId: "t1", name: "Sales\nreport" } as unknown as Thread;
  const text = exported({ thread, messages: MESSAGES, runs: RUNS }, "markdown", new Date(0));
  assert.match(text, /^# Sales report\n\nThread `t1`, exported 1970-01-01 00:00 UTC\.\n\n## You, 1970-01-01 00:00 UTC\n\nFirst task\n\nFiles: `data.csv`\n/);
  assert.ok(text.includes('## Agent (kortix/basic), 1970-01-01 00:00 UTC\n\nLooking.\n\nTool call `bash`:\n\n```json\n{\n  "command": "ls"\n}\n```'));
  assert.ok(text.includes("Result:\n\n````\n```\ndata.csv\n````\n"));
  assert.ok(text.includes("Half\n\n*The answer was cut off here.*"));
});

test("a thread is exported as JSON with all its fields", () => {
  const thread = { threadId: "t1", name: "Sales" } as unknown as Thread;
  const data = JSON.parse(exported({ thread, messages: MESSAGES, runs: RUNS }, "json", new Date(0)));
  assert.deepEqual([data.thread.threadId, data.messages.length, data.runs.length, data.exportedAt], ["t1", 8, 3, "1970-01-01T00:00:00.000Z"]);
  assert.deepEqual(data.messages[1].toolCalls[0].arguments, { command: "ls" });
});

test("the name of an export comes from the name of the thread", () => {
  assert.equal(exportName("Sales report: 2026/27", "markdown"), "sales-report-2026-27.md");
  assert.equal(exportName("Übersicht", "json"), "übersicht.json");
  assert.equal(exportName("…", "json"), "thread.json");
});
