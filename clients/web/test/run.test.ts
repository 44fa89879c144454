// Tests of the view of a run.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunEvent } from "@runyard/client";
import { MAX_LIVE_OUTPUT, type RunView, advance, hasEnded, emptyView, lastAnswer, whyStopped } from "../src/view/run";

const RUN = "01a20050-c1be-76d7-b592-ba985a8be29d";

// An event without the fields that all events have.
type What = RunEvent extends infer E ? (E extends RunEvent ? Omit<E, "agentRunId" | "sequence" | "createdAt"> : never) : never;

function events(...list: What[]): RunEvent[] {
  return list.map((what, at) => ({ ...what, agentRunId: RUN, sequence: at + 1, createdAt: new Date(1_000 * (at + 1)) }) as RunEvent);
}

const WHOLE = events(
  { type: "status", status: "running" },
  { type: "notice", kind: "demo_model", message: "The built-in model answers." },
  { type: "reasoning_delta", messageId: "m1", text: "First " },
  { type: "reasoning_delta", messageId: "m1", text: "look." },
  { type: "message_delta", messageId: "m1", text: "I'll look " },
  { type: "message_delta", messageId: "m1", text: "at it." },
  { type: "message", messageId: "m1", text: "I'll look at it.", partial: false },
  { type: "usage", modelName: "runyard/demo", inputTokens: 100, outputTokens: 20, cachedInputTokens: 0, estimated: false, credits: 0.5 },
  { type: "tool_call", toolCallId: "c1", name: "bash", arguments: { command: "ls" } },
  { type: "tool_call", toolCallId: "c2", name: "read", arguments: { path: "a" } },
  { type: "tool_output", toolCallId: "c1", text: "a\n" },
  { type: "tool_output", toolCallId: "c1", text: "b\n" },
  { type: "tool_result", toolCallId: "c2", name: "read", isError: true, text: "no such file", truncated: false, durationMs: 1, attachments: [] },
  { type: "tool_result", toolCallId: "c1", name: "bash", isError: false, text: "a\nb\n[exit status 0]", truncated: false, durationMs: 30, attachments: [{ name: "a.png", path: "a.png", size: 9, contentType: "image/png", width: 3, height: 2 }] },
  { type: "unknown" },
  { type: "message_delta", messageId: "m2", text: "Two fi" },
  { type: "message", messageId: "m2", text: "Two files.", partial: true },
  { type: "usage", modelName: "runyard/demo", inputTokens: 150, outputTokens: 5, cachedInputTokens: 0, estimated: true, credits: 0.25 },
  { type: "status", status: "completed" },
);

const ALL = advance(emptyView(RUN), WHOLE);

test("all events of a run give the complete view", () => {
  assert.equal(ALL.state, "completed");
  assert.equal(ALL.last, WHOLE.length);
  assert.deepEqual(ALL.usage, { calls: 2, inputTokens: 250, outputTokens: 25, credits: 0.75, estimated: true, modelName: "runyard/demo" });
  assert.equal(ALL.startedAt, 3_000);
  assert.equal(ALL.endedAt, 19_000);
  assert.deepEqual(
    ALL.steps.map((step) => (step.kind === "tool" ? [step.name, step.output, step.result?.isError] : step.kind === "notice" ? [step.notice] : [step.kind, step.text])),
    [["reasoning", "First look."], ["text", "I'll look at it."], ["bash", "a\nb\n", false], ["read", "", true], ["text", "Two files."]],
  );
  const last = ALL.steps.at(-1);
  assert.ok(last?.kind === "text" && last.partial && last.finished);
});

test("a split at any event gives the same view", () => {
  for (let cut = 0; cut <= WHOLE.length; cut += 1) {
    const prefix = advance(emptyView(RUN), WHOLE.slice(0, cut));
    assert.equal(prefix.last, cut);
    assert.deepEqual(advance(prefix, WHOLE.slice(cut)), ALL, `cut at ${cut}`);
    // A resumed stream may repeat events.
    assert.deepEqual(advance(prefix, WHOLE.slice(Math.max(0, cut - 4))), ALL, `repeated before ${cut}`);
  }
});

test("one event at a time gives the same view and does not mutate earlier views", () => {
  const views: [RunView, string][] = [];
  let view = emptyView(RUN);
  for (const event of WHOLE) {
    views.push([view, JSON.stringify(view)]);
    view = advance(view, [event]);
  }
  assert.deepEqual(view, ALL);
  for (const [before, was] of views) assert.equal(JSON.stringify(before), was);
});

test("repeated events return the same view object", () => {
  assert.equal(advance(ALL, WHOLE), ALL);
  const half = advance(emptyView(RUN), WHOLE.slice(0, 9));
  assert.equal(advance(half, WHOLE.slice(2, 8)), half);
});

test("events after a gap are ignored", () => {
  const half = advance(emptyView(RUN), WHOLE.slice(0, 5));
  assert.equal(advance(half, WHOLE.slice(6)), half);
  const upToTheGap = advance(half, [WHOLE[5]!, WHOLE[7]!, WHOLE[6]!]);
  assert.equal(upToTheGap.last, 6);
  assert.deepEqual(advance(upToTheGap, WHOLE.slice(6)), ALL);
});

test("events of other runs are ignored", () => {
  const other = WHOLE.map((event) => ({ ...event, agentRunId: "another" }));
  const view = emptyView(RUN);
  assert.equal(advance(view, other), view);
});

test("unchanged steps stay the same objects", () => {
  const before = advance(emptyView(RUN), WHOLE.slice(0, 10));
  const after = advance(before, WHOLE.slice(10, 12));
  assert.equal(after.steps[0], before.steps[0]);
  assert.equal(after.steps[1], before.steps[1]);
  assert.notEqual(after.steps[2], before.steps[2]);
  assert.equal(after.steps[3], before.steps[3]);
});

test("a run is queued until its first output, and running again after a lost worker", () => {
  const queued = advance(emptyView(RUN), WHOLE.slice(0, 1));
  assert.equal(queued.state, "queued");
  assert.equal(advance(queued, WHOLE.slice(1, 3)).state, "running");
  const list = events(
    { type: "status", status: "running" },
    { type: "message_delta", messageId: "m1", text: "x" },
    { type: "notice", kind: "resumed", message: "Resumed." },
    { type: "status", status: "running" },
  );
  const view = advance(emptyView(RUN), list);
  assert.equal(view.state, "running");
  assert.equal(hasEnded(view), false);
});

test("the output of a run is kept as formatted JSON", () => {
  const ended = events({ type: "status", status: "running" }, { type: "status", status: "completed", output: { city: "Rome", tags: [] } });
  assert.equal(advance(emptyView(RUN), ended).output, '{\n  "city": "Rome",\n  "tags": []\n}');
  assert.equal(ALL.output, null);
});

test("a failed run keeps its error code and message", () => {
  const view = advance(emptyView(RUN), events({ type: "status", status: "running" }, { type: "status", status: "failed", errorCode: "MODEL_UNAVAILABLE", message: "unavailable" }));
  assert.equal(view.state, "failed");
  assert.equal(view.errorCode, "MODEL_UNAVAILABLE");
  assert.equal(view.message, "unavailable");
  assert.equal(hasEnded(view), true);
});

test("a stopped run says why, and by whom", () => {
  const stopped = (what: Partial<What>) => whyStopped(advance(emptyView(RUN), events({ type: "status", status: "stopped", ...what } as What)));
  assert.equal(stopped({ stopReason: "requested", stoppedBy: "ann" }), "Stopped by ann.");
  assert.equal(stopped({ stopReason: "requested", stoppedBy: "api_key:deploy" }), "Stopped by API key deploy.");
  assert.equal(stopped({ stopReason: "requested", stoppedBy: "00000000-0000-4000-8000-000000000001" }), "Stopped by the local account.");
  assert.equal(stopped({ stopReason: "interrupted", stoppedBy: "schedule:0193" }), "A later run in this thread interrupted it, started by a schedule.");
  assert.equal(stopped({ stopReason: "interrupted", stoppedBy: "ann" }), "A later run in this thread interrupted it, started by ann.");
  assert.equal(stopped({ stopReason: "interrupted" }), "A later run in this thread interrupted it.");
  assert.equal(stopped({ stopReason: "budget" }), "The run used its budget. Its work is kept.");
  assert.equal(stopped({}), null);
});

test("the output kept of a running tool is bounded", () => {
  const piece = "x".repeat(10_000);
  const list = events(
    { type: "status", status: "running" },
    { type: "tool_call", toolCallId: "c1", name: "bash", arguments: {} },
    ...Array.from({ length: 50 }, (): What => ({ type: "tool_output", toolCallId: "c1", text: piece })),
  );
  const step = advance(emptyView(RUN), list).steps[0];
  assert.ok(step?.kind === "tool");
  assert.ok(step.output.length <= MAX_LIVE_OUTPUT);
  assert.equal(step.outputCut, true);
});

test("a message to the running agent is a step, and a call of task shows its subagent", () => {
  const view = advance(
    emptyView(RUN),
    events(
      { type: "status", status: "running" },
      { type: "tool_call", toolCallId: "c1", name: "task", arguments: { agent: "Ann", prompt: "Look." } },
      { type: "subagent_started", toolCallId: "c1", subagentRunId: "child", threadId: "thread", agentId: "ann" },
      { type: "user_message", messageId: "m1", text: "Be quick." },
    ),
  );
  const [call, message] = view.steps;
  assert.ok(call?.kind === "tool" && message?.kind === "message");
  assert.deepEqual(call.subagent, { runId: "child", threadId: "thread", agentId: "ann" });
  assert.deepEqual([message.id, message.text], ["m1", "Be quick."]);
  assert.equal(view.last, 4, "the events belong to the parent run");
});

test("the last text of a run is its answer, and the notice of the demo model is remembered", () => {
  const start = advance(emptyView(RUN), events({ type: "status", status: "running" }, { type: "notice", kind: "demo_model", message: "Demo." }));
  assert.deepEqual([start.isDemo, start.steps, lastAnswer(start)], [true, [], ""], "the console says it at its top");
  const view = advance(
    emptyView(RUN),
    events(
      { type: "message", messageId: "a", text: "First.", partial: false },
      { type: "message", messageId: "b", text: "Last.", partial: false },
      { type: "tool_call", toolCallId: "c1", name: "bash", arguments: {} },
    ),
  );
  assert.deepEqual([view.isDemo, lastAnswer(view)], [false, "Last."]);
});
