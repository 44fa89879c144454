// Converts between protobuf messages and plain objects with camelCase keys. An int64 becomes a number, a time a
// `Date`, and an enum value its lower-case name.

import { create, ScalarType, type DescEnum, type DescField, type DescMessage, type JsonObject, type Message, type MessageShape } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate, type Timestamp } from "@bufbuild/protobuf/wkt";
import type { ApiKeyScope } from "./generated/runyard/v1/accounts_pb.js";
import type { McpTransport, MemoryScope, ToolDecision } from "./generated/runyard/v1/agents_pb.js";
import type { InputDecision, InputKind, NoticeKind, RunStatus, StopReason } from "./generated/runyard/v1/events_pb.js";
import type { IfBusy } from "./generated/runyard/v1/runs_pb.js";
import type { ScheduleOverlap, ScheduleRunOutcome } from "./generated/runyard/v1/schedules_pb.js";
import type { MessageDelivery, MessageRole } from "./generated/runyard/v1/threads_pb.js";
import type { WebhookDeliveryStatus } from "./generated/runyard/v1/webhooks_pb.js";
import { invalid } from "./error.js";

type Word<T> = T extends RunStatus
  ? Lowercase<keyof typeof RunStatus>
  : T extends NoticeKind
    ? Lowercase<keyof typeof NoticeKind>
    : T extends MessageRole
      ? Lowercase<keyof typeof MessageRole>
      : T extends McpTransport
        ? Lowercase<keyof typeof McpTransport>
        : T extends MemoryScope
          ? Lowercase<keyof typeof MemoryScope>
          : T extends ApiKeyScope
            ? Lowercase<keyof typeof ApiKeyScope>
            : T extends IfBusy
              ? Lowercase<keyof typeof IfBusy>
              : T extends InputKind
                ? Lowercase<keyof typeof InputKind>
                : T extends InputDecision
                  ? Lowercase<keyof typeof InputDecision>
                  : T extends ToolDecision
                    ? Lowercase<keyof typeof ToolDecision>
                    : T extends WebhookDeliveryStatus
                      ? Lowercase<keyof typeof WebhookDeliveryStatus>
                      : T extends StopReason
                        ? Lowercase<keyof typeof StopReason>
                        : T extends MessageDelivery
                          ? Lowercase<keyof typeof MessageDelivery>
                          : T extends ScheduleOverlap
                            ? Lowercase<keyof typeof ScheduleOverlap>
                            : T extends ScheduleRunOutcome
                              ? Lowercase<keyof typeof ScheduleRunOutcome>
                              : number;

type Numeric<T extends number> = `${number}` extends `${T}` ? number : Word<T>;

/** A protobuf message as a plain object. */
export type Plain<T> = T extends undefined | null | string | boolean | Uint8Array
  ? T
  : T extends bigint
    ? number
    : T extends number
      ? Numeric<T>
      : T extends Timestamp
        ? Date
        : T extends Message
          ? { [K in keyof T as K extends "$typeName" | "$unknown" ? never : K]: Plain<T[K]> }
          : T extends JsonObject
            ? T
            : T extends readonly (infer Item)[]
              ? Plain<Item>[]
              : { [K in keyof T]: Plain<T[K]> };

/** A request as a plain object. All fields are optional. */
export type Input<T> = T extends undefined | null | string | boolean | Uint8Array
  ? T
  : T extends bigint
    ? number
    : T extends number
      ? Numeric<T>
      : T extends Timestamp
        ? Date
        : T extends Message
          ? { [K in keyof T as K extends "$typeName" | "$unknown" ? never : K]?: Input<T[K]> | undefined }
          : T extends JsonObject
            ? T
            : T extends readonly (infer Item)[]
              ? readonly Input<Item>[]
              : { [K in keyof T]: Input<T[K]> };

type Fields = Record<string, unknown>;

export function toPlain<D extends DescMessage>(schema: D, message: MessageShape<D>): Plain<MessageShape<D>> {
  return fieldsOf(schema, message as unknown as Fields) as Plain<MessageShape<D>>;
}

function fieldsOf(schema: DescMessage, message: Fields): Fields {
  const plain: Fields = {};
  for (const field of schema.fields) {
    const value = message[field.localName];
    if (value !== undefined) {
      plain[field.localName] = valueOf(field, value);
    }
  }
  return plain;
}

function valueOf(field: DescField, value: unknown): unknown {
  switch (field.fieldKind) {
    case "scalar":
      return typeof value === "bigint" ? Number(value) : value;
    case "enum":
      return wordOf(field.enum, value as number);
    case "message":
      return messageValueOf(field.message, value);
    case "list":
      return (value as unknown[]).map((item) => itemOf(field, item));
    case "map":
      return Object.fromEntries(Object.entries(value as Fields).map(([key, item]) => [key, itemOf(field, item)]));
  }
}

function itemOf(field: DescField & { fieldKind: "list" | "map" }, item: unknown): unknown {
  if (field.message) {
    return messageValueOf(field.message, item);
  }
  if (field.enum) {
    return wordOf(field.enum, item as number);
  }
  return typeof item === "bigint" ? Number(item) : item;
}

function messageValueOf(schema: DescMessage, value: unknown): unknown {
  switch (schema.typeName) {
    case "google.protobuf.Timestamp":
      return timestampDate(value as Timestamp);
    // protobuf-es represents a Struct as a plain object.
    case "google.protobuf.Struct":
      return value;
    default:
      return fieldsOf(schema, value as Fields);
  }
}

/** Returns the lower-case name of an enum value, or "unspecified" for an unknown value. */
export function wordOf(schema: DescEnum, value: number): string {
  return (schema.value[value] ?? schema.values[0])?.localName.toLowerCase() ?? "unspecified";
}

/** Builds a message from a plain object. Skips undefined and null values. An unknown key is an error. */
export function fromPlain<D extends DescMessage>(schema: D, input: object): MessageShape<D> {
  return create(schema, initOf(schema, input) as never) as MessageShape<D>;
}

function initOf(schema: DescMessage, input: object): Fields {
  const init: Fields = {};
  for (const [key, value] of Object.entries(input)) {
    const field = schema.field[key];
    if (!field) {
      throw invalid(`${schema.name} has no field ${key}`);
    }
    if (value !== undefined && value !== null) {
      init[key] = initValueOf(field, value);
    }
  }
  return init;
}

function initValueOf(field: DescField, value: unknown): unknown {
  switch (field.fieldKind) {
    case "scalar":
      return scalarOf(field, field.scalar, value);
    case "enum":
      return numberOf(field.enum, value);
    case "message":
      return messageInitOf(field.message, value);
    case "list":
      return Array.from(value as Iterable<unknown>, (item) => initItemOf(field, item));
    case "map":
      return Object.fromEntries(Object.entries(value as Fields).map(([key, item]) => [key, initItemOf(field, item)]));
  }
}

function initItemOf(field: DescField & { fieldKind: "list" | "map" }, item: unknown): unknown {
  if (field.message) {
    return messageInitOf(field.message, item);
  }
  return field.enum ? numberOf(field.enum, item) : scalarOf(field, field.scalar as ScalarType, item);
}

function messageInitOf(schema: DescMessage, value: unknown): unknown {
  switch (schema.typeName) {
    case "google.protobuf.Timestamp":
      if (!(value instanceof Date) || Number.isNaN(value.getTime())) {
        throw invalid("a time must be a Date");
      }
      return timestampFromDate(value);
    case "google.protobuf.Struct":
      return value;
    default:
      return fromPlain(schema, value as object);
  }
}

function scalarOf(field: DescField, scalar: ScalarType, value: unknown): unknown {
  switch (scalar) {
    case ScalarType.INT64:
    case ScalarType.UINT64:
      if (typeof value !== "bigint" && !Number.isSafeInteger(value)) {
        throw invalid(`${field.localName} must be a whole number`);
      }
      return BigInt(value as number);
    default:
      return value;
  }
}

function numberOf(schema: DescEnum, word: unknown): number {
  const found = schema.values.find((value) => value.localName.toLowerCase() === word);
  if (!found) {
    const known = schema.values.slice(1).map((value) => value.localName.toLowerCase());
    throw invalid(`${String(word)} is not a valid ${schema.name}; expected one of: ${known.join(", ")}`);
  }
  return found.number;
}
