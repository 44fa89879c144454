// Assigns readers of run events to shared streams, which group.ts opens and reopens.

import type { Channel } from "./channel.js";
import { RunyardError } from "./error.js";
import type { RunEvent } from "./events.js";
import { Group, type Follower } from "./group.js";
import { Inbox } from "./inbox.js";

/** The connection state of a run's stream. */
export type ConnectionState =
  /** The stream is being opened. */
  | { state: "connecting"; attempt: number }
  /** The stream is open; events arrive live. */
  | { state: "open" }
  /** The server is unavailable. The next attempt is scheduled. */
  | { state: "waiting"; attempt: number; retryInMs: number; error: RunyardError }
  /** The stream has ended. */
  | { state: "closed" };

export type OnConnection = (state: ConnectionState) => void;

export interface FollowOptions {
  /** Sequence number of the last event that the reader has. The default 0 requests all events. */
  afterSequence?: number | undefined;
  /** Whether the stream also contains the events of the subagents that start after the cursor; false by default. */
  includeChildren?: boolean | undefined;
  /** Aborts the iteration, which then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called when the stream connects or disconnects. */
  onConnection?: OnConnection | undefined;
}

/** A run, and the sequence number of the last event that the reader has. The default 0 requests all events. */
export interface RunCursor {
  agentRunId: string;
  afterSequence?: number | undefined;
}

export interface FeedOptions {
  /** Milliseconds for which a stream tries to reconnect before its readers get an error. */
  reconnectForMs: number;
  /** Maximum number of consecutive failures of a stream after which it is opened again. */
  maxRetries: number;
  /** Milliseconds without data after which a stream is reopened, because its connection may be dead. */
  silenceMs: number;
  /** Called when a stream connects or disconnects. */
  onConnection: OnConnection | undefined;
}

/** The streams of a client, which readers share. */
export class Feed {
  readonly #channel: Channel;
  readonly #options: FeedOptions;
  readonly #groups = new Set<Group>();

  constructor(channel: Channel, options: FeedOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  /**
   * Streams the events of runs until all of them have ended. Each event arrives once, and the events of a run arrive
   * in order.
   */
  follow(cursors: readonly RunCursor[], options: FollowOptions = {}): AsyncIterableIterator<RunEvent> {
    const inbox = new Inbox();
    let begun = false;
    let over = false;
    const { signal } = options;

    const add = (runId: string, cursor: number) => {
      inbox.open += 1;
      this.#add({
        runId,
        cursor,
        inbox,
        onConnection: options.onConnection,
        parked: false,
        behind: false,
        hasReceived: false,
        mayBeAtEnd: cursor > 0,
      });
    };
    const begin = () => {
      begun = true;
      signal?.addEventListener("abort", abort);
      for (const cursor of cursors) {
        add(cursor.agentRunId, cursor.afterSequence ?? options.afterSequence ?? 0);
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
            if (options.includeChildren && event.type === "subagent_started") {
              add(event.subagentRunId, 0);
            }
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

  /** Closes all streams. Their readers get an error. */
  close(): void {
    for (const group of this.#groups) {
      group.fail(new RunyardError({ errorCode: "CANCELLED", kind: "cancelled", message: "the client is closed" }));
    }
  }

  /** Milliseconds for which a stream tries to reconnect. */
  get reconnectForMs(): number {
    return this.#options.reconnectForMs;
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
    const group = new Group(this.#channel, this.#options, isAlone, (left) => this.#alone(left, true));
    this.#groups.add(group);
    group.join(follower);
    // `run` reports failures to the readers, so its promise is ignored.
    void group.run().finally(() => this.#groups.delete(group));
  }
}
