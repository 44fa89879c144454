// Client tools: functions of the caller that the model can call. While a run's stream is read, `ToolRunner` runs them and
// answers the calls.
//
// A function runs once per call and handle. If the stream repeats an event, or the call already has an answer, the
// function does not run again.

import type { JsonObject } from "@bufbuild/protobuf";
import { backoffMs, sleep } from "./backoff.js";
import type { Channel } from "./channel.js";
import { isPassing, RunyardError } from "./error.js";
import { isTerminal, type InputRequestedEvent, type RunEvent } from "./events.js";
import { InputService } from "./generated/runyard/v1/inputs_pb.js";

/** Maximum size of a result in bytes. */
const MAX_RESULT_BYTES = 256 * 1024;

/** The call of a client tool. */
export interface ClientToolCall {
  readonly agentRunId: string;
  readonly inputId: string;
  readonly toolCallId: string;
  /** Aborted when the run ends, or when the call is answered elsewhere or expires. */
  readonly signal: AbortSignal;
}

/** A tool that the caller of a run provides. */
export interface ClientTool {
  /** 1 to 64 letters, digits, `_` and `-`. */
  name: string;
  /** What the tool does, for the model. */
  description?: string | undefined;
  /** JSON schema of the arguments. Its type must be object. */
  parameters?: JsonObject | undefined;
  /**
   * Runs a call. The returned text, or the returned value as JSON, is the result; a thrown error is a failed result.
   * Without this function, the program answers the calls with `client.inputs.answer`.
   */
  // The parameters describe the arguments, so that a function may declare their types.
  run?: ((args: any, call: ClientToolCall) => unknown) | undefined;
}

type Request = Pick<InputRequestedEvent, "agentRunId" | "inputId" | "kind" | "toolCallId" | "name" | "arguments">;

interface Result {
  decision: "result";
  text: string;
  isError: boolean;
}

/** Returns the tools as fields of a start request. */
export function declarations(tools: readonly ClientTool[]): object[] {
  return tools.map(({ run: _, ...tool }) => tool);
}

/** Runs the client tools of one run. Several readers of the run's stream may share it. */
export class ToolRunner {
  readonly #channel: Channel;
  readonly #patienceMs: number;
  readonly #tools: Map<string, ClientTool>;
  readonly #results = new Map<string, Promise<Result>>();
  readonly #taken = new Set<string>();
  readonly #calls = new Map<string, AbortController>();
  readonly #readers = new Set<(error: unknown) => void>();
  #failure: { error: unknown } | undefined;

  /** `patienceMs` is the time for which an answer is sent again while the server is unavailable. */
  constructor(channel: Channel, patienceMs: number, tools: readonly ClientTool[]) {
    this.#channel = channel;
    this.#patienceMs = patienceMs;
    this.#tools = new Map(tools.filter((tool) => tool.run).map((tool) => [tool.name, tool]));
  }

  /** Returns the next event. Throws if an answer cannot be sent, because the run would otherwise wait until it expires. */
  during(events: AsyncIterator<RunEvent>): Promise<IteratorResult<RunEvent>> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) => {
        this.#readers.delete(fail);
        reject(error);
        void events.return?.();
      };
      if (this.#failure) {
        const { error } = this.#failure;
        this.#failure = undefined;
        fail(error);
        return;
      }
      this.#readers.add(fail);
      events.next().then(resolve, reject).finally(() => this.#readers.delete(fail));
    });
  }

  /** Starts the function of a requested tool call. */
  take(event: RunEvent): void {
    if (event.type === "input_requested") {
      this.#start(event);
    } else if (event.type === "input_answered") {
      this.#calls.get(event.inputId)?.abort();
    } else if (isTerminal(event)) {
      for (const call of this.#calls.values()) {
        call.abort();
      }
    }
  }

  /** Starts the functions of all pending calls. For a reader that skips events, which may include their requests. */
  async takePending(agentRunId: string, signal: AbortSignal | undefined): Promise<void> {
    try {
      let pageToken = "";
      do {
        const request = { agentRunId, pageToken, pageSize: 200 };
        const page = await this.#patiently(signal, () =>
          this.#channel.callSafely(InputService.method.listPendingInputs, request, { signal }),
        );
        page.inputs.forEach((input) => this.#start(input));
        pageToken = page.nextPageToken;
      } while (pageToken);
    } catch (error) {
      if (!signal?.aborted) {
        this.#fail(error);
      }
    }
  }

  #start(request: Request): void {
    const tool = request.kind === "client_tool" ? this.#tools.get(request.name) : undefined;
    if (tool && !this.#taken.has(request.inputId)) {
      this.#taken.add(request.inputId);
      void this.#answer(tool, request);
    }
  }

  async #answer(tool: ClientTool, request: Request): Promise<void> {
    const { agentRunId, inputId } = request;
    const call = new AbortController();
    this.#calls.set(inputId, call);
    try {
      // The event may be old: a run can be watched from its start after its calls were answered.
      const input = await this.#patiently(call.signal, () =>
        this.#channel.callSafely(InputService.method.getInput, { inputId }, { signal: call.signal }),
      );
      if (input.decision !== undefined) {
        return;
      }
      const result = this.#results.get(inputId) ?? resultOf(tool, request, call.signal);
      // Kept until it is sent, so that the function does not run again after a failure.
      this.#results.set(inputId, result);
      const answer = { agentRunId, answers: [{ inputId, ...(await result) }] };
      await this.#patiently(call.signal, () =>
        this.#channel.callSafely(InputService.method.answerInput, answer, { signal: call.signal }),
      );
      this.#results.delete(inputId);
    } catch (error) {
      // The call is answered or the run has ended. The stream says so.
      if (call.signal.aborted || (error instanceof RunyardError && error.kind === "conflicting")) {
        return;
      }
      this.#taken.delete(inputId);
      this.#fail(error);
    } finally {
      this.#calls.delete(inputId);
    }
  }

  // Repeats a call while the server is unavailable, for as long as a stream would try to reconnect.
  async #patiently<T>(signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
    const until = Date.now() + this.#patienceMs;
    for (let failures = 1; ; failures += 1) {
      try {
        return await call();
      } catch (error) {
        const pause = isPassing(error) ? backoffMs(failures, error.retryAfter) : Infinity;
        if (Date.now() + pause > until) {
          throw error;
        }
        await sleep(pause, signal);
      }
    }
  }

  #fail(error: unknown): void {
    if (this.#readers.size === 0) {
      this.#failure = { error };
    }
    for (const reader of [...this.#readers]) {
      reader(error);
    }
  }
}

async function resultOf(tool: ClientTool, request: Request, signal: AbortSignal): Promise<Result> {
  const { agentRunId, inputId, toolCallId } = request;
  try {
    const value = await tool.run?.(request.arguments ?? {}, { agentRunId, inputId, toolCallId, signal });
    const text = sendable(typeof value === "string" ? value : (JSON.stringify(value) ?? ""));
    const size = new TextEncoder().encode(text).length;
    if (size > MAX_RESULT_BYTES) {
      return { decision: "result", text: `the result has ${size} bytes; the maximum is ${MAX_RESULT_BYTES}`, isError: true };
    }
    return { decision: "result", text, isError: false };
  } catch (error) {
    const text = error instanceof Error ? error.message || error.name : String(error);
    return { decision: "result", text: sendable(text.slice(0, MAX_RESULT_BYTES / 4)), isError: true };
  }
}

// The server refuses NUL characters.
function sendable(text: string): string {
  return text.replaceAll("\0", "\ufffd");
}
