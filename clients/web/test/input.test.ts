// Tests of inputs: their place in the view of a run, and the editing of arguments.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunEvent } from "@runyard/client";
import { argsOf, choicesOf, decisionWords, fieldsOf, isPending, serverOf, shortDecision, titleOf } from "../src/view/input";
import { type RunView, advance, emptyView, hasEnded } from "../src/view/run";

const RUN = "01a20050-c1be-76d7-b592-ba985a8be29d";

type What = RunEvent extends infer E ? (E extends RunEvent ? Omit<E, "agentRunId" | "sequence" | "createdAt"> : never) : never;

function events(...list: What[]): RunEvent[] {
  return list.map((what, at) => ({ ...what, agentRunId: RUN, sequence: at + 1, createdAt: new Date(1_000 * (at + 1)) }) as RunEvent);
}

const ASKED = events(
  { type: "status", status: "running" },
  { type: "tool_call", toolCallId: "c1", name: "bash", arguments: { command: "rm -r old" } },
  { type: "input_requested", inputId: "i1", kind: "approval", toolCallId: "c1", name: "bash", arguments: { command: "rm -r old" }, message: "Run a command?", expiresAt: new Date(99_000) },
  { type: "status", status: "waiting" },
  { type: "input_answered", inputId: "i1", decision: "approve", toolCallId: "c1", arguments: { command: "mv old new" }, text: "", isError: false },
  { type: "status", status: "running" },
  { type: "tool_result", toolCallId: "c1", name: "bash", isError: false, text: "", truncated: false, durationMs: 1, attachments: [] },
  { type: "status", status: "completed" },
);

function call(view: RunView) {
  const [step] = view.steps;
  assert.ok(step?.kind === "tool");
  return step;
}

test("a requested input belongs to its call, and the run waits without an end", () => {
  const view = advance(emptyView(RUN), ASKED.slice(0, 4));
  assert.equal(view.state, "waiting");
  assert.deepEqual([hasEnded(view), view.endedAt], [false, null]);
  const { inputs, args } = call(view);
  const [input] = inputs;
  assert.ok(input && isPending(input));
  assert.deepEqual([input.inputId, input.runId, input.kind, input.expiresAt], ["i1", RUN, "approval", 99_000]);
  assert.deepEqual(args, { command: "rm -r old" });
});

test("an answer replaces the arguments of the call, in every batch of events", () => {
  const whole = advance(emptyView(RUN), ASKED);
  const { inputs, args } = call(whole);
  const [input] = inputs;
  assert.ok(input?.answer && !isPending(input));
  assert.equal(decisionWords(input.answer, input.kind), "Approved with changes");
  assert.equal(shortDecision(input.answer, input.kind), "approved with changes");
  assert.deepEqual([titleOf(input.kind, true), titleOf(input.kind, false)], ["Approval needed", "Approval"]);
  assert.deepEqual([args, input.args, whole.state], [{ command: "mv old new" }, { command: "rm -r old" }, "completed"]);
  for (let cut = 0; cut <= ASKED.length; cut += 1) {
    assert.deepEqual(advance(advance(emptyView(RUN), ASKED.slice(0, cut)), ASKED.slice(cut)), whole, `cut at ${cut}`);
  }
});

test("inputs of an unknown kind, and answers to another input, change nothing", () => {
  const unknown = events(
    { type: "tool_call", toolCallId: "c1", name: "bash", arguments: {} },
    { type: "input_requested", inputId: "i1", kind: "unspecified", toolCallId: "c1", name: "bash", message: "" },
    { type: "input_answered", inputId: "i2", decision: "deny", toolCallId: "c1", text: "", isError: false },
  );
  assert.deepEqual(call(advance(emptyView(RUN), unknown)).inputs, []);
});

test("a call keeps all questions of its MCP server, and their answers do not change its arguments", () => {
  const schema = { type: "object", properties: { day: { type: "string" } } };
  const asked = (inputId: string) => ({ type: "input_requested", inputId, kind: "question", toolCallId: "c1", name: "box__book", arguments: { city: "Rome" }, schema, message: "Which day?" }) as const;
  const view = advance(
    emptyView(RUN),
    events(
      { type: "tool_call", toolCallId: "c1", name: "box__book", arguments: { city: "Rome" } },
      asked("i1"),
      asked("i2"),
      { type: "input_answered", inputId: "i1", decision: "answer", toolCallId: "c1", arguments: { day: "Monday" }, text: "", isError: false },
    ),
  );
  const { inputs, args } = call(view);
  assert.deepEqual(inputs.map(isPending), [false, true]);
  assert.deepEqual([args, inputs[0]?.answer?.values], [{ city: "Rome" }, { day: "Monday" }]);
  assert.deepEqual([inputs[1]?.schema, serverOf(inputs[1]!)], [schema, "box"]);
  assert.equal(serverOf({ kind: "question", name: "ask_user", schema: null }), null);
  assert.equal(decisionWords({ decision: "approve", text: "", isError: false, values: {} }, "question"), "Answered");
});

test("arguments are edited as text or as JSON", () => {
  const args = { path: "a.txt", lines: 3, deep: { a: [true] } };
  const fields = fieldsOf(args);
  assert.deepEqual(fields.map(({ name, isText, value }) => [name, isText, value]), [
    ["path", true, "a.txt"],
    ["lines", false, "3"],
    ["deep", false, '{"a":[true]}'],
  ]);
  assert.deepEqual(argsOf(fields), { args });
  const changed = fields.map((field) => ({ ...field, value: field.isText ? "b\nc" : field.name === "lines" ? "4" : field.value }));
  assert.deepEqual(argsOf(changed), { args: { ...args, path: "b\nc", lines: 4 } });
  assert.deepEqual(argsOf([{ name: "lines", isText: false, value: "four" }]), { wrong: "lines" });
});

test("a question has choices, and each decision has words", () => {
  assert.deepEqual(choicesOf({ choices: ["red", 3, "blue"] }), ["red", "blue"]);
  assert.deepEqual(choicesOf({ question: "Which?" }), []);
  const words = (decision: "deny" | "result" | "expired", kind: "approval" | "question" | "client_tool", isError = false) =>
    decisionWords({ decision, text: "", isError, values: null }, kind);
  assert.deepEqual(
    [words("deny", "approval"), words("deny", "question"), words("result", "client_tool"), words("result", "client_tool", true), words("expired", "approval")],
    ["Denied", "Declined to answer", "The client sent the result", "The client reported an error", "No answer arrived in time"],
  );
});
