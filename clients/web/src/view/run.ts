// The view of a run, computed from its events.
//
// Repeated events change nothing, and the batches in which events arrive do not matter. Therefore a stream can break
// and resume. Events after a gap are ignored, so that the stream resumes before the gap.
import type { Attachment, NoticeEvent, RunEvent, RunRecord, StatusEvent } from "@runyard/client";
import { type InputView, answered, requested } from "./input";

/** A queued run has no output yet. A waiting run waits for an input. */
export type RunState = "queued" | "running" | "waiting" | "completed" | "failed" | "stopped";

export interface TextStep {
  kind: "text";
  id: string;
  text: string;
  finished: boolean;
  partial: boolean;
}

export interface ReasoningStep {
  kind: "reasoning";
  id: string;
  text: string;
}

export interface ToolStep {
  kind: "tool";
  id: string;
  name: string;
  args: Record<string, unknown>;
  invalidArgs: string | null;
  /** The output so far. The start of a long output is dropped. */
  output: string;
  outputCut: boolean;
  startedAt: number;
  result: ToolEnd | null;
  /** The inputs that the call needed or needs, oldest first: an approval, then the questions of its MCP server. */
  inputs: readonly InputView[];
  /** The run that works on a call of the tool `task`. */
  subagent: Subagent | null;
}

export interface Subagent {
  runId: string;
  threadId: string;
  agentId: string;
}

export interface ToolEnd {
  isError: boolean;
  text: string;
  truncated: boolean;
  durationMs: number;
  attachments: readonly Attachment[];
}

export interface NoticeStep {
  kind: "notice";
  id: string;
  notice: NoticeEvent["kind"];
  message: string;
}

/** A message to the running agent, at the place where the model read it. */
export interface MessageStep {
  kind: "message";
  id: string;
  text: string;
}

export type Step = TextStep | ReasoningStep | ToolStep | NoticeStep | MessageStep;

export interface Usage {
  calls: number;
  inputTokens: number;
  outputTokens: number;
  credits: number;
  estimated: boolean;
  modelName: string | null;
}

export interface RunView {
  runId: string;
  /** The cursor: the sequence number of the last event. */
  last: number;
  state: RunState;
  errorCode: string | null;
  message: string | null;
  stopReason: StatusEvent["stopReason"] | null;
  /** The final answer as formatted JSON, if the run has an output. */
  output: string | null;
  /** The caller whose request stopped the run. */
  stoppedBy: string | null;
  steps: readonly Step[];
  usage: Usage;
  /** Whether the built-in demo model answers, because no provider is configured for the model. */
  isDemo: boolean;
  startedAt: number | null;
  endedAt: number | null;
}

/** Maximum number of characters of live tool output in a view. The result of the tool has the final output. */
export const MAX_LIVE_OUTPUT = 64 * 1024;

export function emptyView(runId: string): RunView {
  return {
    runId,
    last: 0,
    state: "queued",
    errorCode: null,
    message: null,
    stopReason: null,
    output: null,
    stoppedBy: null,
    steps: [],
    usage: { calls: 0, inputTokens: 0, outputTokens: 0, credits: 0, estimated: false, modelName: null },
    isDemo: false,
    startedAt: null,
    endedAt: null,
  };
}

export function hasEnded(view: RunView): boolean {
  return view.state === "completed" || view.state === "failed" || view.state === "stopped";
}

/** Subject of the account for which `runyard token` prints a token. */
const LOCAL_ACCOUNT = "00000000-0000-4000-8000-000000000001";

function nameOfCaller(caller: string): string {
  if (caller === LOCAL_ACCOUNT) return "the local account";
  return caller.startsWith("schedule:") ? "a schedule" : caller.replace(/^api_key:/, "API key ");
}

/** Why a run was stopped, and by whom; null if neither is known. */
export function whyStopped({ stopReason, stoppedBy }: Pick<RunView, "stopReason" | "stoppedBy">): string | null {
  const by = stoppedBy === null ? "" : ` by ${nameOfCaller(stoppedBy)}`;
  switch (stopReason) {
    case "interrupted":
      return `A later run in this thread interrupted it${by && `, started${by}`}.`;
    case "budget":
      return "The run used its budget. Its work is kept.";
    default:
      return by ? `Stopped${by}.` : null;
  }
}

/** The last text of the model; empty if there is none. */
export function lastAnswer(view: RunView): string {
  const step = view.steps.findLast((each) => each.kind === "text" && each.text !== "");
  return step?.kind === "text" ? step.text : "";
}

/** Whether a run with this status has not ended. */
export function isActive(status: RunRecord["status"]): boolean {
  return status === "running" || status === "waiting";
}

/** The state to show for a run whose events are not loaded. */
export function stateOf(status: RunRecord["status"]): RunState {
  return status === "unspecified" ? "running" : status;
}

/**
 * Applies events to a view. Unchanged steps, and a view without changes, stay the same objects. Events after a gap
 * are ignored.
 */
export function advance(view: RunView, events: readonly RunEvent[]): RunView {
  let next: Draft | null = null;
  for (const event of events) {
    if (event.agentRunId !== view.runId) continue;
    const { sequence } = event;
    const last = next?.last ?? view.last;
    if (sequence <= last) continue;
    if (sequence > last + 1) break;
    next ??= { ...view, steps: [...view.steps], usage: { ...view.usage }, fresh: new Set() };
    next.last = sequence;
    apply(next, event);
  }
  if (!next) return view;
  const { fresh: _fresh, ...result } = next;
  return result;
}

// A mutable copy of a view. Only the steps in `fresh` may be modified.
interface Draft extends Omit<RunView, "steps"> {
  steps: Step[];
  fresh: Set<Step>;
}

function apply(draft: Draft, event: RunEvent): void {
  const at = event.createdAt.getTime();
  switch (event.type) {
    case "status":
      status(draft, event.status, at);
      draft.errorCode = event.errorCode ?? null;
      draft.message = event.message ?? null;
      draft.stopReason = event.stopReason ?? null;
      if (event.output) draft.output = JSON.stringify(event.output, null, 2);
      draft.stoppedBy = event.stoppedBy ?? null;
      break;
    case "message_delta":
      markStarted(draft, at);
      text(draft, event.messageId).text += event.text;
      break;
    case "message": {
      markStarted(draft, at);
      // A message without text contains only tool calls.
      if (event.text === "" && !draft.steps.some((step) => step.kind === "text" && step.id === event.messageId)) break;
      const step = text(draft, event.messageId);
      step.text = event.text;
      step.finished = true;
      step.partial = event.partial;
      break;
    }
    case "reasoning_delta":
      markStarted(draft, at);
      reasoning(draft, event.messageId).text += event.text;
      break;
    case "tool_call":
      markStarted(draft, at);
      add(draft, {
        kind: "tool",
        id: event.toolCallId,
        name: event.name,
        args: (event.arguments ?? {}) as Record<string, unknown>,
        invalidArgs: event.invalidArguments ?? null,
        output: "",
        outputCut: false,
        startedAt: at,
        result: null,
        inputs: [],
        subagent: null,
      });
      break;
    case "tool_output": {
      const step = tool(draft, event.toolCallId);
      if (!step) break;
      step.output += event.text;
      if (step.output.length > MAX_LIVE_OUTPUT) {
        step.output = step.output.slice(-MAX_LIVE_OUTPUT / 2);
        step.outputCut = true;
      }
      break;
    }
    case "tool_result": {
      const step = tool(draft, event.toolCallId);
      if (!step) break;
      const { isError, text, truncated, durationMs, attachments } = event;
      step.result = { isError, text, truncated, durationMs, attachments };
      break;
    }
    case "input_requested": {
      const step = tool(draft, event.toolCallId);
      const input = requested(event);
      if (step && input) step.inputs = [...step.inputs, input];
      break;
    }
    case "input_answered": {
      const step = tool(draft, event.toolCallId);
      const input = step?.inputs.find((each) => each.inputId === event.inputId);
      if (!step || !input) break;
      step.inputs = step.inputs.map((each) => (each === input ? answered(input, event) : each));
      // The call runs with the edited arguments. The values of an answer to a question do not change the call.
      if (event.arguments && input.kind !== "question") step.args = event.arguments as Record<string, unknown>;
      break;
    }
    case "usage":
      draft.usage.calls += 1;
      draft.usage.inputTokens += event.inputTokens;
      draft.usage.outputTokens += event.outputTokens;
      draft.usage.credits += event.credits;
      draft.usage.estimated ||= event.estimated;
      draft.usage.modelName = event.modelName || draft.usage.modelName;
      break;
    case "notice":
      // The console says once at its top that no model is connected.
      if (event.kind === "demo_model") draft.isDemo = true;
      else add(draft, { kind: "notice", id: `notice-${draft.last}`, notice: event.kind, message: event.message });
      break;
    case "user_message":
      add(draft, { kind: "message", id: event.messageId, text: event.text });
      break;
    case "subagent_started": {
      const step = tool(draft, event.toolCallId);
      if (step) step.subagent = { runId: event.subagentRunId, threadId: event.threadId, agentId: event.agentId };
      break;
    }
    case "unknown":
      // A newer server sent an unknown type of event. Only the cursor changes.
      break;
  }
}

function status(draft: Draft, state: StatusEvent["status"], at: number): void {
  if (state === "unspecified") return;
  // A run has the status "running" from the start. The view shows "queued" until the first output of the model or a
  // tool.
  draft.state = state === "running" && draft.startedAt === null ? "queued" : state;
  if (!isActive(state)) {
    draft.endedAt = at;
    draft.startedAt ??= at;
  }
}

function markStarted(draft: Draft, at: number): void {
  draft.startedAt ??= at;
  if (draft.state === "queued") draft.state = "running";
}

function add<S extends Step>(draft: Draft, step: S): S {
  draft.steps.push(step);
  draft.fresh.add(step);
  return step;
}

// Returns a step for modification. A step outside `fresh` is copied first.
function editable<S extends Step>(draft: Draft, position: number): S {
  const step = draft.steps[position] as S;
  if (draft.fresh.has(step)) return step;
  const copy = { ...step };
  draft.steps[position] = copy;
  draft.fresh.add(copy);
  return copy;
}

function text(draft: Draft, id: string): TextStep {
  const at = draft.steps.findLastIndex((step) => step.kind === "text" && step.id === id);
  return at >= 0 ? editable<TextStep>(draft, at) : add(draft, { kind: "text", id, text: "", finished: false, partial: false });
}

function reasoning(draft: Draft, id: string): ReasoningStep {
  const at = draft.steps.findLastIndex((step) => step.kind === "reasoning" && step.id === id);
  return at >= 0 ? editable<ReasoningStep>(draft, at) : add(draft, { kind: "reasoning", id, text: "" });
}

function tool(draft: Draft, id: string): ToolStep | null {
  const at = draft.steps.findLastIndex((step) => step.kind === "tool" && step.id === id);
  return at >= 0 ? editable<ToolStep>(draft, at) : null;
}
