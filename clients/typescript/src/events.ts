// The events of a run as plain objects with a `type`; see docs/events.md.

import type { DescMessage } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  InputAnsweredSchema,
  InputRequestedSchema,
  MessageDeltaSchema,
  MessageFinishedSchema,
  ModelUsageSchema,
  NoticeSchema,
  ReasoningDeltaSchema,
  StatusChangedSchema,
  SubagentStartedSchema,
  ToolCallSchema,
  ToolOutputSchema,
  ToolResultSchema,
  UserMessageSchema,
  type InputAnswered,
  type InputRequested,
  type MessageDelta,
  type MessageFinished,
  type ModelUsage,
  type Notice,
  type ReasoningDelta,
  type Attachment as WireAttachment,
  type RunEvent as WireEvent,
  type StatusChanged,
  type SubagentStarted,
  type ToolCall,
  type ToolOutput,
  type ToolResult,
  type UserMessage,
} from "./generated/runyard/v1/events_pb.js";
import { toPlain, type Plain } from "./plain.js";

export interface EventBase {
  agentRunId: string;
  /** Position of the event in the run: 1, 2, 3 and so on. A stream can resume after this position. */
  sequence: number;
  createdAt: Date;
}

/** The run's status changed. The last event of every run is a status event; see `isTerminal`. */
export type StatusEvent = EventBase & { type: "status" } & Plain<StatusChanged>;
/** A chunk of the model's text. */
export type MessageDeltaEvent = EventBase & { type: "message_delta" } & Plain<MessageDelta>;
/** A chunk of the model's reasoning. */
export type ReasoningDeltaEvent = EventBase & { type: "reasoning_delta" } & Plain<ReasoningDelta>;
/** A complete message of the model. */
export type MessageEvent = EventBase & { type: "message" } & Plain<MessageFinished>;
/** The model calls a tool. */
export type ToolCallEvent = EventBase & { type: "tool_call" } & Plain<ToolCall>;
/** A chunk of a running tool's output. */
export type ToolOutputEvent = EventBase & { type: "tool_output" } & Plain<ToolOutput>;
/** A tool call ended. */
export type ToolResultEvent = EventBase & { type: "tool_result" } & Plain<ToolResult>;
/** A file in the workspace that belongs to a message or to a tool result. Only images have a width and a height. */
export interface Attachment extends Plain<WireAttachment> {}
/** The usage of one model call. */
export type UsageEvent = EventBase & { type: "usage" } & Plain<ModelUsage>;
/** A notice for the user, for example that another worker resumed the run. */
export type NoticeEvent = EventBase & { type: "notice" } & Plain<Notice>;
/** The run waits for an input: a permission, the result of a client tool, or the answer to a question. */
export type InputRequestedEvent = EventBase & { type: "input_requested" } & Plain<InputRequested>;
/** An input was answered, or it expired. */
export type InputAnsweredEvent = EventBase & { type: "input_answered" } & Plain<InputAnswered>;
/** The model receives a message that was added to the run. */
export type UserMessageEvent = EventBase & { type: "user_message" } & Plain<UserMessage>;
/** A subagent begins to work on a call of the tool `task`. `agentRunId` is the run with the call. */
export type SubagentStartedEvent = EventBase & { type: "subagent_started" } & Plain<SubagentStarted>;
/** An event of a kind that this version of the package does not know. */
export type UnknownEvent = EventBase & { type: "unknown" };

export type RunEvent =
  | StatusEvent
  | MessageDeltaEvent
  | ReasoningDeltaEvent
  | MessageEvent
  | ToolCallEvent
  | ToolOutputEvent
  | ToolResultEvent
  | UsageEvent
  | NoticeEvent
  | InputRequestedEvent
  | InputAnsweredEvent
  | UserMessageEvent
  | SubagentStartedEvent
  | UnknownEvent;

const KINDS: Record<NonNullable<WireEvent["event"]["case"]>, [RunEvent["type"], DescMessage]> = {
  status: ["status", StatusChangedSchema],
  messageDelta: ["message_delta", MessageDeltaSchema],
  reasoningDelta: ["reasoning_delta", ReasoningDeltaSchema],
  message: ["message", MessageFinishedSchema],
  toolCall: ["tool_call", ToolCallSchema],
  toolOutput: ["tool_output", ToolOutputSchema],
  toolResult: ["tool_result", ToolResultSchema],
  usage: ["usage", ModelUsageSchema],
  notice: ["notice", NoticeSchema],
  inputRequested: ["input_requested", InputRequestedSchema],
  inputAnswered: ["input_answered", InputAnsweredSchema],
  userMessage: ["user_message", UserMessageSchema],
  subagentStarted: ["subagent_started", SubagentStartedSchema],
};

export function fromWire(wire: WireEvent): RunEvent {
  const base: EventBase = {
    agentRunId: wire.agentRunId,
    sequence: Number(wire.sequence),
    createdAt: wire.createdAt ? timestampDate(wire.createdAt) : new Date(0),
  };
  if (wire.event.case === undefined) {
    return { ...base, type: "unknown" };
  }
  const [type, schema] = KINDS[wire.event.case];
  return { ...base, type, ...(toPlain(schema, wire.event.value) as object) } as RunEvent;
}

/** Whether the event ends its run. */
export function isTerminal(event: RunEvent): event is StatusEvent {
  return event.type === "status" && hasEnded(event.status);
}

/** Whether a run with this status has ended. A waiting run has not. */
export function hasEnded(status: StatusEvent["status"]): boolean {
  return status !== "running" && status !== "waiting" && status !== "unspecified";
}
