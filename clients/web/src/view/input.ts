// Inputs that a run waits for: their state, the words of their decisions, and the fields of their arguments.
import type { InputAnsweredEvent, InputRequestedEvent, RunInput } from "@runyard/client";

export type InputKind = "approval" | "client_tool" | "question";
type Decision = InputAnsweredEvent["decision"];

export interface InputView {
  inputId: string;
  runId: string;
  kind: InputKind;
  /** Name of the tool. */
  name: string;
  args: Record<string, unknown>;
  /** JSON schema of the call's arguments, or of the answer to a question of an MCP server. */
  schema: Record<string, unknown> | null;
  message: string;
  expiresAt: number | null;
  answer: AnswerView | null;
}

export interface AnswerView {
  decision: Decision;
  text: string;
  isError: boolean;
  /** Edited arguments of an approved call, or the values of an answer. */
  values: Record<string, unknown> | null;
}

type Request = Pick<InputRequestedEvent, "inputId" | "agentRunId" | "kind" | "name" | "arguments" | "schema" | "message" | "expiresAt">;

/** Returns null for a kind of input that this console does not know. */
export function requested(input: Request): InputView | null {
  if (input.kind === "unspecified") return null;
  return {
    inputId: input.inputId,
    runId: input.agentRunId,
    kind: input.kind,
    name: input.name,
    args: (input.arguments ?? {}) as Record<string, unknown>,
    schema: (input.schema ?? null) as Record<string, unknown> | null,
    message: input.message,
    expiresAt: input.expiresAt?.getTime() ?? null,
    answer: null,
  };
}

export function answered(input: InputView, event: Pick<InputAnsweredEvent, "decision" | "text" | "isError" | "arguments">): InputView {
  const { decision, text, isError } = event;
  return { ...input, answer: { decision, text, isError, values: (event.arguments ?? null) as Record<string, unknown> | null } };
}

/** The view of an input from a list or from the answer to it. */
export function ofRecord(input: RunInput): InputView | null {
  const view = requested(input);
  if (!view || input.decision === undefined) return view;
  return answered(view, { decision: input.decision, text: input.text, isError: input.isError, arguments: input.editedArguments });
}

export function isPending(input: InputView | null): input is InputView & { answer: null } {
  return input !== null && input.answer === null;
}

const TITLES: Record<InputKind, [pending: string, answered: string]> = {
  approval: ["Approval needed", "Approval"],
  client_tool: ["Result needed", "Client tool"],
  question: ["Question", "Question"],
};

export function titleOf(kind: InputKind, isOpen: boolean): string {
  return TITLES[kind][isOpen ? 0 : 1];
}

/** The name of the MCP server that asks a question; null for the questions of an agent. */
export function serverOf({ kind, name, schema }: Pick<InputView, "kind" | "name" | "schema">): string | null {
  return kind === "question" && schema !== null ? name.split("__")[0]! : null;
}

/** The decision in a word or two, for the head of a tool call. Empty for the result of a client tool. */
export function shortDecision({ decision, values }: AnswerView, kind: InputKind): string {
  switch (decision) {
    case "approve":
      return kind === "question" ? "answered" : values ? "approved with changes" : "approved";
    case "deny":
      return kind === "question" ? "declined" : "denied";
    case "answer":
      return "answered";
    case "expired":
      return "expired";
    case "cancelled":
      return "cancelled";
    case "result":
    case "unspecified":
      return "";
  }
}

/** The decision as a short sentence, without the text of the answer. */
export function decisionWords({ decision, values, isError }: AnswerView, kind: InputKind): string {
  switch (decision) {
    case "approve":
      return kind === "question" ? "Answered" : values ? "Approved with changes" : "Approved";
    case "deny":
      return kind === "question" ? "Declined to answer" : "Denied";
    case "result":
      return isError ? "The client reported an error" : "The client sent the result";
    case "answer":
      return "Answered";
    case "expired":
      return "No answer arrived in time";
    case "cancelled":
      return "The run ended first";
    case "unspecified":
      return "Answered";
  }
}

/** The choices of a question. */
export function choicesOf(args: Record<string, unknown>): string[] {
  const choices = args["choices"];
  return Array.isArray(choices) ? choices.filter((choice): choice is string => typeof choice === "string") : [];
}

/** An argument in the form that edits a call. A text is edited as it is, another value as JSON. */
export interface ArgumentField {
  name: string;
  isText: boolean;
  value: string;
}

export function fieldsOf(args: Record<string, unknown>): ArgumentField[] {
  return Object.entries(args).map(([name, value]) =>
    typeof value === "string" ? { name, isText: true, value } : { name, isText: false, value: JSON.stringify(value) },
  );
}

/** Returns the edited arguments, or the name of the first field that is not valid JSON. */
export function argsOf(fields: readonly ArgumentField[]): { args: Record<string, unknown> } | { wrong: string } {
  const args: Record<string, unknown> = {};
  for (const { name, isText, value } of fields) {
    try {
      args[name] = isText ? value : JSON.parse(value);
    } catch {
      return { wrong: name };
    }
  }
  return { args };
}
