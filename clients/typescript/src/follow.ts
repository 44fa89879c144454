// Following runs: what the events of a run are asked for with, and who reads which of them. How they come is in group.ts.

import type { Door } from "./door.js";
import { RunyardError } from "./error.js";
import type { RunEvent } from "./events.js";
import { Group, type Follower } from "./group.js";
import { Inbox } from "./inbox.js";

/** How the stream of a run stands. */
export type ConnectionState =
  /** The stream is being opened. */
  | { state: "connecting"; attempt: number }
  /** Events arrive as they happen. */
  | { state: "open" }
  /** The server is away; the next attempt follows by itself. */
  | { state: "waiting"; attempt: number; retryInMs: number; error: RunyardError }
  /** Nothing more will come. */
  | { state: "closed" };

/** What is told about the stream of a run. */
export type OnConnection = (state: ConnectionState) => void;

/** How runs are followed. */
export interface FollowOptions {
  /** The sequence of the last event that the reader has; 0 (the default) for all events. */
  afterSequence?: number | undefined;
  /** Ends the iteration; it rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Is told when the stream opens, breaks and closes. */
  onConnection?: OnConnection | undefined;
}

/** A run, and the sequence of the last event that the reader has. */
export interface RunCursor {
  agentRunId: string;
  afterSequence?: number | undefined;
}

/** How long and how much a feed waits. */
export interface FeedOptions {
  /** For how long a server may be away until a reader is told, in milliseconds. */
  reconnectForMs: number;
  /** After how much silence a stream is opened anew, in milliseconds: a connection may have died without a word. */
  silenceMs: number;
  /** Is told about every stream. */
  onConnection: OnConnection | undefined;
}

/** Everything that a client follows. */
export class Feed {
  readonly #door: Door;
  readonly #options: FeedOptions;
  readonly #groups = new Set<Group>();

  constructor(door: Door, options: FeedOptions) {
    this.#door = door;
    this.#options = options;
  }

  /** The events of runs, each run's in order, each exactly once; ends when all runs have ended. */
  follow(cursors: readonly RunCursor[], options: FollowOptions = {}): AsyncIterableIterator<RunEvent> {
    const inbox = new Inbox();
    let begun = false;
    let over = false;
    const { signal } = options;

    const begin = () => {
      begun = true;
      signal?.addEventListener("abort", abort);
      inbox.open = cursors.length;
      for (const cursor of cursors) {
        const follower: Follower = {
          runId: cursor.agentRunId,
          cursor: cursor.afterSequence ?? options.afterSequence ?? 0,
          inbox,
          onConnection: options.onConnection,
          parked: false,
          behind: false,
          heard: false,
          mayBeAtEnd: false,
        };
        follower.mayBeAtEnd = follower.cursor > 0;
        this.#add(follower);
      }
    };
    const finish = () => {
      over = true;
      signal?.removeEventListener("abort", abort);
      for (const group of this.#groups) {
        group.leave((follower) => follower.inbox === inbox);
      }
    };
    const abort = () => {
      inbox.fail(signal?.reason);
      finish();
    };

    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      next: async () => {
        signal?.throwIfAborted();
        if (over) {
          return { done: true, value: undefined };
        }
        if (!begun) {
          begin();
        }
        try {
          const event = await inbox.next();
          if (event) {
            return { done: false, value: event };
          }
        } catch (error) {
          finish();
          throw error;
        }
        finish();
        return { done: true, value: undefined };
      },
      return: async () => {
        finish();
        inbox.end();
        return { done: true, value: undefined };
      },
    };
  }

  /** Ends everything; readers get an error. */
  close(): void {
    for (const group of this.#groups) {
      group.fail(new RunyardError({ errorCode: "CANCELLED", kind: "cancelled", message: "the client is closed" }));
    }
  }

  #add(follower: Follower): void {
    for (const group of this.#groups) {
      if (group.hasRoomFor(follower)) {
        group.join(follower);
        return;
      }
    }
    this.#alone(follower, false);
  }

  #alone(follower: Follower, isAlone: boolean): void {
    const group = new Group(this.#door, this.#options, isAlone, (left) => this.#alone(left, true));
    this.#groups.add(group);
    group.join(follower);
    // What goes wrong is told to the readers.
    void group.run().finally(() => this.#groups.delete(group));
  }
}
