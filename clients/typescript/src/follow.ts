// Following runs. Whoever follows runs with one client shares as few streams as can be: one StreamRuns for up to 100 runs,
// since a browser on HTTP/1.1 has six connections.
//
// The cursor of a run is the sequence of the last event that went into its reader's inbox. Whatever breaks, the stream is
// opened again after the cursors, so that every event is handed out exactly once and in order. A reader that does not
// keep up holds up no other: its run is left out until it has read, and then goes on from its cursor.

import { backoffMs, onOnline, sleep } from "./backoff.js";
import type { Door } from "./door.js";
import { CONNECTION_LOST, isPassing, isRunyardError, RunyardError } from "./error.js";
import { fromWire, isTerminal, type RunEvent } from "./events.js";
import { GetRunRequestSchema, RunService, StreamRunsRequestSchema } from "./generated/runyard/v1/runs_pb.js";
import { RunStatus } from "./generated/runyard/v1/events_pb.js";
import { fromPlain } from "./plain.js";

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

const RUNS_PER_STREAM = 100;
const INBOX_EVENTS = 1_024;
// Runs that are followed one after another get into one stream together.
const GATHER_MS = 15;
// A reader that came with a cursor and hears nothing for so long may be at the end of its run.
const QUIET_MS = 500;
// A stream that was open for so long was a success, even if nothing happened in it.
const STEADY_MS = 5_000;

/** The events that a reader has not taken yet. */
class Inbox {
  readonly #events: RunEvent[] = [];
  #taken = 0;
  #wake: (() => void) | undefined;
  #failure: { error: unknown } | undefined;
  /** Runs that may still have events. */
  open = 0;
  #waiting: (() => void)[] = [];

  get isFull(): boolean {
    return this.#events.length - this.#taken >= INBOX_EVENTS;
  }

  put(event: RunEvent): void {
    this.#events.push(event);
    this.#wake?.();
  }

  close(): void {
    this.open -= 1;
    this.#wake?.();
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake?.();
  }

  /** Nobody reads any more: what is left is dropped. */
  end(): void {
    this.#events.length = 0;
    this.#taken = 0;
    this.#waiting = [];
    this.open = 0;
    this.#wake?.();
  }

  /** Calls back when a full inbox has room again. */
  whenRoom(callback: () => void): void {
    this.#waiting.push(callback);
  }

  async next(): Promise<RunEvent | undefined> {
    for (;;) {
      const event = this.#take();
      if (event) {
        return event;
      }
      if (this.#failure) {
        throw this.#failure.error;
      }
      if (this.open === 0) {
        return undefined;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  #take(): RunEvent | undefined {
    const event = this.#events[this.#taken];
    if (!event) {
      return undefined;
    }
    this.#taken += 1;
    if (this.#taken * 2 >= this.#events.length) {
      this.#events.splice(0, this.#taken);
      this.#taken = 0;
    }
    if (this.#waiting.length > 0 && this.#events.length - this.#taken <= INBOX_EVENTS / 4) {
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const callback of waiting) {
        callback();
      }
    }
    return event;
  }
}

/** One run on its way into an inbox. */
interface Follower {
  readonly runId: string;
  cursor: number;
  readonly inbox: Inbox;
  readonly onConnection: OnConnection | undefined;
  /** Its inbox was full: it is out of the stream until there is room. */
  parked: boolean;
  /** It missed events of the open stream, which its cursor brings back. */
  behind: boolean;
  /** Whether the open stream brought it something. */
  heard: boolean;
  /** Its reader gave a cursor, and whether that is the end of the run is not known yet. */
  mayBeAtEnd: boolean;
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

/** Runs that share one stream. */
class Group {
  readonly #door: Door;
  readonly #options: FeedOptions;
  readonly #members = new Set<Follower>();
  /** Those whose event at the cursor is asked for once more. */
  readonly #atEnd = new Set<Follower>();
  readonly #isAlone: boolean;
  readonly #expel: (follower: Follower) => void;
  #ended = false;
  #failures = 0;
  #awaySince = 0;
  #openSince: number | undefined;
  #isIdle = false;
  #opened: AbortController | undefined;
  #pause = new AbortController();
  #gathering: ReturnType<typeof setTimeout> | undefined;

  constructor(door: Door, options: FeedOptions, isAlone: boolean, expel: (follower: Follower) => void) {
    this.#door = door;
    this.#options = options;
    this.#isAlone = isAlone;
    this.#expel = expel;
  }

  hasRoomFor(follower: Follower): boolean {
    if (this.#ended || this.#isAlone || this.#members.size >= RUNS_PER_STREAM) {
      return false;
    }
    // A stream names a run once; who reads it a second time from another place has a second stream.
    return ![...this.#members].some((member) => member.runId === follower.runId);
  }

  join(follower: Follower): void {
    this.#members.add(follower);
    if (this.#opened) {
      this.#gathering ??= setTimeout(() => this.#reopen(), GATHER_MS);
    } else if (this.#isIdle) {
      this.#pause.abort();
    }
  }

  leave(isLeaving: (follower: Follower) => boolean): void {
    for (const member of this.#members) {
      if (isLeaving(member)) {
        this.#members.delete(member);
        tell(member.onConnection, { state: "closed" });
      }
    }
    if (this.#members.size === 0) {
      this.#reopen();
      this.#pause.abort();
    }
  }

  fail(error: unknown): void {
    for (const member of this.#members) {
      member.inbox.fail(error);
    }
    this.leave(() => true);
  }

  /** Keeps the stream open until there is nobody left to read it. */
  async run(): Promise<void> {
    const stopListening = onOnline(() => this.#reopen());
    try {
      // Those who follow several runs at once have them in the first stream.
      await Promise.resolve();
      while (this.#members.size > 0) {
        await this.#once();
      }
    } catch (error) {
      this.fail(error);
    } finally {
      this.#ended = true;
      stopListening();
      clearTimeout(this.#gathering);
      this.#tell({ state: "closed" });
    }
  }

  async #once(): Promise<void> {
    const present = [...this.#members].filter((member) => !member.parked);
    if (present.length === 0) {
      await this.#somethingChanges();
      return;
    }
    const opened = new AbortController();
    this.#opened = opened;
    for (const member of present) {
      member.behind = false;
      member.heard = false;
    }
    try {
      await this.#read(present, opened);
      await this.#cleanEnd(present);
    } catch (error) {
      // Opened anew on purpose.
      if (!opened.signal.aborted) {
        await this.#recover(error);
      }
    } finally {
      opened.abort();
      this.#opened = undefined;
    }
  }

  async #read(present: readonly Follower[], opened: AbortController): Promise<void> {
    this.#openSince = undefined;
    this.#tell({ state: "connecting", attempt: this.#failures + 1 });
    const byRun = new Map(present.map((member) => [member.runId, member]));
    const runs = present.map((member) => ({ agentRunId: member.runId, afterSequence: this.#cursorOf(member) }));
    const request = fromPlain(StreamRunsRequestSchema, { runs });
    let quiet: ReturnType<typeof setTimeout> | undefined;
    let heardAt = Date.now();
    let isHeldBack = false;
    // One timer for all events: a fast stream has thousands of them.
    const { silenceMs } = this.#options;
    const silence = setInterval(() => {
      if (!isHeldBack && Date.now() - heardAt >= silenceMs) {
        opened.abort();
      }
    }, silenceMs / 4);
    try {
      const { messages } = await this.#door.stream(RunService.method.streamRuns, request, opened.signal);
      this.#openSince = Date.now();
      this.#tell({ state: "open" });
      quiet = setTimeout(() => this.#askForEnds(present), QUIET_MS);
      for await (const wire of messages) {
        heardAt = Date.now();
        this.#failures = 0;
        const event = fromWire(wire);
        const member = byRun.get(event.agentRunId);
        if (member && this.#members.has(member)) {
          this.#deliver(member, event);
        }
        // With one reader the connection itself can wait.
        if (member && this.#members.has(member) && !member.parked && member.inbox.isFull) {
          isHeldBack = true;
          await roomIn(member.inbox, opened.signal);
          isHeldBack = false;
          heardAt = Date.now();
        }
        // The server ends a stream when all of its runs have ended; nobody here needs to wait for that.
        if (this.#members.size === 0) {
          return;
        }
      }
    } finally {
      clearInterval(silence);
      clearTimeout(quiet);
    }
  }

  // A stream behind the last event of a run says nothing, whether the run has ended or only pauses. Asked for the event at
  // the cursor once more, it shows which.
  #askForEnds(present: readonly Follower[]): void {
    for (const member of present) {
      if (member.mayBeAtEnd && !member.heard && !member.parked && this.#members.has(member)) {
        this.#atEnd.add(member);
      }
      member.mayBeAtEnd = false;
    }
    if (this.#atEnd.size > 0) {
      this.#reopen();
    }
  }

  #cursorOf(member: Follower): number {
    return this.#atEnd.has(member) ? member.cursor - 1 : member.cursor;
  }

  #deliver(member: Follower, event: RunEvent): void {
    if (this.#atEnd.delete(member) && event.sequence === member.cursor && isTerminal(event)) {
      this.#leaveEnded(member);
      return;
    }
    if (event.sequence <= member.cursor || member.behind) {
      return;
    }
    if (event.sequence !== member.cursor + 1) {
      throw new RunyardError({ errorCode: CONNECTION_LOST, kind: "unavailable", message: "events are missing in the stream" });
    }
    member.inbox.put(event);
    member.cursor = event.sequence;
    member.heard = true;
    if (isTerminal(event)) {
      this.#leaveEnded(member);
    } else if (member.inbox.isFull && this.#members.size > 1) {
      member.behind = true;
      member.parked = true;
      member.inbox.whenRoom(() => {
        member.parked = false;
        this.#reopen();
        this.#pause.abort();
      });
    }
  }

  #leaveEnded(member: Follower): void {
    this.#members.delete(member);
    tell(member.onConnection, { state: "closed" });
    member.inbox.close();
  }

  // The server ends a stream when it has nothing more to say. For a run whose terminal event did not come that means: the
  // cursor is at the end of the run, or the stream was cut in a way that looks clean.
  async #cleanEnd(present: readonly Follower[]): Promise<void> {
    for (const member of present) {
      if (!this.#members.has(member) || member.parked || member.heard) {
        continue;
      }
      const request = fromPlain(GetRunRequestSchema, { agentRunId: member.runId });
      const run = await this.#door.ask(RunService.method.getRun, request);
      if (run.status !== RunStatus.RUNNING && this.#members.has(member)) {
        this.#leaveEnded(member);
      } else {
        throw new RunyardError({ errorCode: CONNECTION_LOST, kind: "unavailable", message: "the stream ended before the run" });
      }
    }
  }

  async #recover(error: unknown): Promise<void> {
    if (this.#openSince !== undefined && Date.now() - this.#openSince >= STEADY_MS) {
      this.#failures = 0;
    }
    // A token that has run out in the middle of a stream: the next attempt asks for a fresh one.
    const isRenewable = isRunyardError(error) && error.kind === "unauthenticated" && this.#door.renewsTokens;
    if (!isPassing(error) && !(isRenewable && this.#failures === 0)) {
      if (this.#members.size <= 1) {
        throw error;
      }
      // One of the runs cannot be read; on its own each of them shows whether it is the one.
      const members = [...this.#members];
      this.#members.clear();
      for (const member of members) {
        this.#expel(member);
      }
      return;
    }
    this.#failures += 1;
    const now = Date.now();
    if (this.#failures === 1) {
      this.#awaySince = now;
    }
    if (now - this.#awaySince >= this.#options.reconnectForMs) {
      throw error;
    }
    const retryInMs = backoffMs(this.#failures, error.retryAfter);
    this.#tell({ state: "waiting", attempt: this.#failures, retryInMs, error });
    this.#pause = new AbortController();
    // Cut short when everybody has left.
    await sleep(retryInMs, this.#pause.signal).catch(() => {});
  }

  async #somethingChanges(): Promise<void> {
    this.#pause = new AbortController();
    const { signal } = this.#pause;
    this.#isIdle = true;
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve());
    });
    this.#isIdle = false;
  }

  #reopen(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    this.#opened?.abort();
  }

  #tell(state: ConnectionState): void {
    tell(this.#options.onConnection, state);
    for (const member of this.#members) {
      tell(member.onConnection, state);
    }
  }
}

function roomIn(inbox: Inbox, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
    inbox.whenRoom(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    });
  });
}

// What a listener throws is its own affair, not the stream's.
function tell(listener: OnConnection | undefined, state: ConnectionState): void {
  try {
    listener?.(state);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
