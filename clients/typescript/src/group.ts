// Runs that share one stream. Whoever follows runs with one client has as few streams as can be: one StreamRuns for up to 100
// runs, since a browser on HTTP/1.1 has six connections.
//
// The cursor of a run is the sequence of the last event that went into its reader's inbox. Whatever breaks, the stream is
// opened again after the cursors, so that every event is handed out exactly once and in order. A reader that does not
// keep up holds up no other: its run is left out until it has read, and then goes on from its cursor.

import { backoffMs, onOnline, sleep } from "./backoff.js";
import type { Door } from "./door.js";
import { CONNECTION_LOST, isPassing, isRunyardError, RunyardError } from "./error.js";
import { fromWire, isTerminal, type RunEvent } from "./events.js";
import type { ConnectionState, FeedOptions, OnConnection } from "./follow.js";
import { RunStatus } from "./generated/runyard/v1/events_pb.js";
import { GetRunRequestSchema, RunService, StreamRunsRequestSchema } from "./generated/runyard/v1/runs_pb.js";
import { roomIn, type Inbox } from "./inbox.js";
import { fromPlain } from "./plain.js";

const RUNS_PER_STREAM = 100;
// Runs that are followed one after another get into one stream together.
const GATHER_MS = 15;
// A reader that came with a cursor and hears nothing for so long may be at the end of its run.
const QUIET_MS = 500;
// A stream that was open for so long was a success, even if nothing happened in it.
const STEADY_MS = 5_000;

/** One run on its way into an inbox. */
export interface Follower {
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

/** Runs that share one stream. */
export class Group {
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
