// Runs by their ids: read, follow, stop.

import type { CallOptions, Door } from "./door.js";
import type { RunEvent } from "./events.js";
import type { Feed, FollowOptions, OnConnection, RunCursor } from "./follow.js";
import { RunService, type ListRunsRequest, type Run as WireRun } from "./generated/runyard/v1/runs_pb.js";
import { Listing } from "./pages.js";
import type { Input, Plain } from "./plain.js";
import { Run } from "./run.js";
import type { Sandboxes } from "./sandboxes.js";

/** A run as the server knows it. */
export interface RunRecord extends Plain<WireRun> {}

export class Runs {
  readonly #door: Door;
  readonly #feed: Feed;
  readonly #sandboxes: Sandboxes;

  constructor(door: Door, feed: Feed, sandboxes: Sandboxes) {
    this.#door = door;
    this.#feed = feed;
    this.#sandboxes = sandboxes;
  }

  /** One run. */
  get(agentRunId: string, options?: CallOptions): Promise<RunRecord> {
    return this.#door.callSafely(RunService.method.getRun, { agentRunId }, options);
  }

  /** The caller's runs, newest first. */
  list(query: Input<ListRunsRequest> & CallOptions = {}): Listing<RunRecord> {
    const { signal, timeoutMs, ...asked } = query;
    return new Listing(async (pageToken = asked.pageToken) => {
      const request = { ...asked, pageToken };
      const page = await this.#door.callSafely(RunService.method.listRuns, request, { signal, timeoutMs });
      return { items: page.agentRuns, nextPageToken: page.nextPageToken };
    });
  }

  /** A handle on a run that exists: to follow it, to wait for it, to read its files. */
  async open(agentRunId: string, options: CallOptions & { onConnection?: OnConnection | undefined } = {}): Promise<Run> {
    const { onConnection, ...call } = options;
    return new Run(this.#door, this.#feed, this.#sandboxes, { ...(await this.get(agentRunId, call)), onConnection });
  }

  /** The events of a run after a cursor, live, to its end; goes on by itself after a break. */
  stream(agentRunId: string, options: FollowOptions = {}): AsyncIterableIterator<RunEvent> {
    return this.#feed.follow([{ agentRunId, afterSequence: options.afterSequence }], options);
  }

  /** The events of many runs, each run's in order, until all have ended. */
  streamMany(cursors: readonly RunCursor[], options: Omit<FollowOptions, "afterSequence"> = {}): AsyncIterableIterator<RunEvent> {
    return this.#feed.follow(cursors, options);
  }

  /** Asks a run to stop; stopping an ended run changes nothing. */
  stop(agentRunId: string, options?: CallOptions): Promise<RunRecord> {
    return this.#door.callSafely(RunService.method.stopRun, { agentRunId }, options);
  }
}
