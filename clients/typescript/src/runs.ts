// Fetches, lists, streams and stops runs.

import type { JsonObject } from "@bufbuild/protobuf";
import type { CallOptions, Channel } from "./channel.js";
import type { RunEvent } from "./events.js";
import type { Feed, FollowOptions, OnConnection, RunCursor } from "./follow.js";
import { RunService, type ListRunsRequest, type Run as WireRun } from "./generated/runyard/v1/runs_pb.js";
import type { OutputSchema } from "./output.js";
import { Listing } from "./pages.js";
import type { Input, Plain } from "./plain.js";
import { Run } from "./run.js";
import type { Sandboxes } from "./sandboxes.js";
import type { ClientTool } from "./tools.js";

/** The server's record of a run. */
export interface RunRecord extends Plain<WireRun> {}

export class Runs {
  readonly #channel: Channel;
  readonly #feed: Feed;
  readonly #sandboxes: Sandboxes;

  constructor(channel: Channel, feed: Feed, sandboxes: Sandboxes) {
    this.#channel = channel;
    this.#feed = feed;
    this.#sandboxes = sandboxes;
  }

  get(agentRunId: string, options?: CallOptions): Promise<RunRecord> {
    return this.#channel.callSafely(RunService.method.getRun, { agentRunId }, options);
  }

  /** Lists the caller's runs, newest first. */
  list(query: Input<ListRunsRequest> & CallOptions = {}): Listing<RunRecord> {
    const { signal, timeoutMs, ...fields } = query;
    return new Listing(async (pageToken = fields.pageToken) => {
      const request = { ...fields, pageToken };
      const page = await this.#channel.callSafely(RunService.method.listRuns, request, { signal, timeoutMs });
      return { items: page.agentRuns, nextPageToken: page.nextPageToken };
    });
  }

  /** Returns a handle on an existing run. While its stream is read, it answers calls of the given tools. `output` is the schema of its output. */
  async open<T = JsonObject>(
    agentRunId: string,
    options: CallOptions & {
      onConnection?: OnConnection | undefined;
      tools?: readonly ClientTool[] | undefined;
      output?: OutputSchema<T> | undefined;
    } = {},
  ): Promise<Run<T>> {
    const { onConnection, tools, output, ...call } = options;
    const record = await this.get(agentRunId, call);
    return new Run(this.#channel, this.#feed, this.#sandboxes, { ...record, onConnection, tools, output });
  }

  /** Streams the events of a run after a cursor until the run ends. Resumes after a broken connection. */
  stream(agentRunId: string, options: FollowOptions = {}): AsyncIterableIterator<RunEvent> {
    return this.#feed.follow([{ agentRunId, afterSequence: options.afterSequence }], options);
  }

  /** Streams the events of several runs until all of them have ended. The events of a run arrive in order. */
  streamMany(cursors: readonly RunCursor[], options: Omit<FollowOptions, "afterSequence"> = {}): AsyncIterableIterator<RunEvent> {
    return this.#feed.follow(cursors, options);
  }

  /** Asks a run to stop. Has no effect on a run that has ended. */
  stop(agentRunId: string, options?: CallOptions): Promise<RunRecord> {
    return this.#channel.callSafely(RunService.method.stopRun, { agentRunId }, options);
  }
}
