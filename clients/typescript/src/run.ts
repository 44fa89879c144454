// A handle on one run.

import type { JsonObject } from "@bufbuild/protobuf";
import type { CallOptions, Channel } from "./channel.js";
import { RunyardError } from "./error.js";
import { hasEnded, isTerminal, type RunEvent, type StatusEvent } from "./events.js";
import type { Feed, FollowOptions, OnConnection } from "./follow.js";
import { RunService } from "./generated/runyard/v1/runs_pb.js";
import { ThreadService } from "./generated/runyard/v1/threads_pb.js";
import { parsed, type OutputSchema } from "./output.js";
import type { RunRecord } from "./runs.js";
import type { FileEntry, Sandboxes } from "./sandboxes.js";
import type { ThreadMessage } from "./threads.js";
import { ToolRunner, type ClientTool } from "./tools.js";

export interface RunInfo<T> {
  agentRunId: string;
  threadId: string;
  projectId: string;
  sandboxId?: string | undefined;
  onConnection?: OnConnection | undefined;
  tools?: readonly ClientTool[] | undefined;
  output?: OutputSchema<T> | undefined;
}

/** A file in the run's workspace. */
export interface RunFile extends FileEntry {
  read(options?: CallOptions): Promise<Uint8Array>;
  /** Returns the content as UTF-8 text. */
  text(options?: CallOptions): Promise<string>;
  /** Returns the content and its content type. */
  blob(options?: CallOptions): Promise<Blob>;
}

/** A handle on one run. `T` is the type of its output. */
export class Run<T = JsonObject> implements AsyncIterable<RunEvent> {
  readonly id: string;
  readonly threadId: string;
  readonly projectId: string;
  readonly #channel: Channel;
  readonly #feed: Feed;
  readonly #sandboxes: Sandboxes;
  readonly #onConnection: OnConnection | undefined;
  readonly #tools: ToolRunner | undefined;
  readonly #output: OutputSchema<T> | undefined;
  #sandboxId: string | undefined;
  #cursor = 0;

  constructor(channel: Channel, feed: Feed, sandboxes: Sandboxes, info: RunInfo<T>) {
    this.#channel = channel;
    this.#feed = feed;
    this.#sandboxes = sandboxes;
    this.id = info.agentRunId;
    this.threadId = info.threadId;
    this.projectId = info.projectId;
    this.#sandboxId = info.sandboxId;
    this.#onConnection = info.onConnection;
    this.#output = info.output;
    if (info.tools?.some((tool) => tool.run)) {
      this.#tools = new ToolRunner(channel, feed.reconnectForMs, info.tools);
    }
  }

  /** The name of `id` in the API. */
  get agentRunId(): string {
    return this.id;
  }

  /** UUID of the run's sandbox; undefined until a response has contained it. */
  get sandboxId(): string | undefined {
    return this.#sandboxId;
  }

  /** Sequence number of the newest received event. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Streams all events of the run. */
  [Symbol.asyncIterator](): AsyncIterableIterator<RunEvent> {
    return this.events();
  }

  /**
   * Streams the events after a cursor until the run ends. Resumes after a broken connection. Runs the functions of the
   * run's client tools and answers their calls. Throws if an answer cannot be sent.
   */
  events(options: FollowOptions = {}): AsyncIterableIterator<RunEvent> {
    const onConnection = options.onConnection ?? this.#onConnection;
    const cursors = [{ agentRunId: this.id, afterSequence: options.afterSequence }];
    const events = this.#feed.follow(cursors, { ...options, onConnection });
    if ((options.afterSequence ?? 0) > 0) {
      void this.#tools?.takePending(this.id, options.signal);
    }
    const next = async () => {
      const step = await (this.#tools ? this.#tools.during(events) : events.next());
      // The cursor and the tools belong to this run, not to its subagents.
      if (!step.done && step.value.agentRunId === this.id) {
        this.#cursor = Math.max(this.#cursor, step.value.sequence);
        this.#tools?.take(step.value);
      }
      return step;
    };
    return { ...events, next };
  }

  async get(options?: CallOptions): Promise<RunRecord> {
    const record: RunRecord = await this.#channel.callSafely(RunService.method.getRun, { agentRunId: this.id }, options);
    this.#sandboxId ??= record.sandboxId;
    return record;
  }

  /**
   * Waits for the run to end and returns its record. Rejects with a TimeoutError after `timeoutMs` milliseconds; by
   * default, waits without a limit.
   */
  async wait(options: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<RunRecord> {
    const signal = within(options);
    for (;;) {
      const record = await this.get({ signal });
      if (hasEnded(record.status)) {
        return record;
      }
      // The events do not matter here.
      for await (const _ of this.events({ signal, afterSequence: this.#cursor })) {
      }
    }
  }

  /** Waits for the run to end and returns the model's messages, joined by newlines. Throws if the run failed. */
  async text(options: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<string> {
    const answers: string[] = [];
    let end: StatusEvent | undefined;
    for await (const event of this.events({ signal: within(options) })) {
      if (event.type === "message" && event.text !== "") {
        answers.push(event.text);
      }
      if (isTerminal(event)) {
        end = event;
      }
    }
    if (end?.status === "failed") {
      throw new RunyardError({
        errorCode: end.errorCode ?? "INTERNAL",
        kind: "internal",
        message: end.message ?? "the run failed",
      });
    }
    return answers.join("\n");
  }

  /**
   * Sends a message to the unfinished run. Its model reads the message at its next call, which the event `user_message`
   * shows. If the run has ended, the message has no `delivery` and stays in the thread for the next run.
   */
  steer(text: string, options?: CallOptions): Promise<ThreadMessage> {
    const request = { threadId: this.threadId, content: text };
    return this.#channel.call(ThreadService.method.addMessage, request, options);
  }

  /**
   * Waits for the run to end and returns its output, as the type of the schema that the run was started with. Throws if
   * the run has not completed, if it was started without a schema, or if the schema's library refuses the output.
   */
  async output(options: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<T> {
    const { status, error, output } = await this.wait(options);
    if (status !== "completed") {
      throw new RunyardError({
        errorCode: error?.errorCode ?? "CANCELLED",
        kind: error ? "internal" : "conflicting",
        message: error?.message ?? `the run is ${status} and has no output`,
      });
    }
    if (output === undefined) {
      throw new TypeError("the run has no output, because it was started without a schema");
    }
    return parsed(output, this.#output);
  }

  /** Asks the run to stop. Has no effect on a run that has ended. */
  stop(options?: CallOptions): Promise<RunRecord> {
    return this.#channel.callSafely(RunService.method.stopRun, { agentRunId: this.id }, options);
  }

  /** Returns all files in a workspace folder and its subfolders. */
  async files(options: CallOptions & { path?: string } = {}): Promise<RunFile[]> {
    const { path = "output", ...call } = options;
    const sandboxId = this.#sandboxId ?? (await this.get(call)).sandboxId;
    if (!sandboxId) {
      return [];
    }
    try {
      const listed = await this.#sandboxes.list(sandboxId, { path, recursive: true, ...call }).all();
      return listed.filter((entry) => !entry.isDir).map((entry) => this.#file(sandboxId, entry));
    } catch (error) {
      // The run may have created no files.
      if (error instanceof RunyardError && error.errorCode === "FILE_NOT_FOUND") {
        return [];
      }
      throw error;
    }
  }

  #file(sandboxId: string, entry: FileEntry): RunFile {
    return {
      ...entry,
      read: (options) => this.#sandboxes.read(sandboxId, entry.path, options),
      text: (options) => this.#sandboxes.readText(sandboxId, entry.path, options),
      blob: (options) => this.#sandboxes.readBlob(sandboxId, entry.path, options),
    };
  }
}

function within(options: { signal?: AbortSignal; timeoutMs?: number }): AbortSignal | undefined {
  if (options.timeoutMs === undefined) {
    return options.signal;
  }
  const deadline = AbortSignal.timeout(options.timeoutMs);
  return options.signal ? AbortSignal.any([options.signal, deadline]) : deadline;
}
