// The events of a run as plain objects, told apart by `type`; docs/events.md describes them.

import type { DescMessage } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  MessageDeltaSchema,
  MessageFinishedSchema,
  ModelUsageSchema,
  NoticeSchema,
  ReasoningDeltaSchema,
  StatusChangedSchema,
  ToolCallSchema,
  ToolOutputSchema,
  ToolResultSchema,
  type MessageDelta,
  type MessageFinished,
  type ModelUsage,
  type Notice,
  type ReasoningDelta,
  type RunEvent as WireEvent,
  type StatusChanged,
  type ToolCall,
  type ToolOutput,
  type ToolResult,
} from "./generated/runyard/v1/events_pb.js";
import { toPlain, type Plain } from "./plain.js";

/** What all events have. */
export interface EventBase {
  /** The run. */
  agentRunId: string;
  /** The position in the run, from 1, without gaps: the cursor to go on from. */
  sequence: number;
  /** When it happened. */
  createdAt: Date;
}

/** The run changed its state; the last event of every run is one whose status is not "running". */
export type StatusEvent = EventBase & { type: "status" } & Plain<StatusChanged>;
/** A piece of the model's text. */
export type MessageDeltaEvent = EventBase & { type: "message_delta" } & Plain<MessageDelta>;
/** A piece of the model's reasoning. */
export type ReasoningDeltaEvent = EventBase & { type: "reasoning_delta" } & Plain<ReasoningDelta>;
/** A finished message of the model. */
export type MessageEvent = EventBase & { type: "message" } & Plain<MessageFinished>;
/** The model calls a tool. */
export type ToolCallEvent = EventBase & { type: "tool_call" } & Plain<ToolCall>;
/** A piece of a running tool's output. */
export type ToolOutputEvent = EventBase & { type: "tool_output" } & Plain<ToolOutput>;
/** A tool has ended. */
export type ToolResultEvent = EventBase & { type: "tool_result" } & Plain<ToolResult>;
/** What one call of the model used. */
export type UsageEvent = EventBase & { type: "usage" } & Plain<ModelUsage>;
/** Something that the reader should know. */
export type NoticeEvent = EventBase & { type: "notice" } & Plain<Notice>;
/** A kind of event that this version of the package does not know; it counts in the sequence. */
export type UnknownEvent = EventBase & { type: "unknown" };

/** One event of a run. */
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
};

/** A protobuf event as a plain one. */
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

/** Whether an event is the last one of its run. */
export function isTerminal(event: RunEvent): event is StatusEvent {
  return event.type === "status" && event.status !== "running" && event.status !== "unspecified";
}
