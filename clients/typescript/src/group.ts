// A group of runs whose events arrive over one stream. Browsers limit HTTP/1.1 connections to six per origin, so up
// to 100 runs share a stream.
//
// Each reader has an inbox, a queue of events (inbox.ts). The cursor of a run is the sequence number of the last
// event in the inbox. A broken stream is reopened at the cursors, so every event arrives once and in order.
//
// A slow reader does not block other readers. While the inbox is full, the client drops the events of the slow
// reader's run. Once the inbox has room, the client reopens the stream at the cursor and receives the dropped events
// again.

import { backoffMs, onOnline, sleep } from "./backoff.js";
import type { Channel } from "./channel.js";
import { CONNECTION_LOST, isPassing, isRunyardError, RunyardError } from "./error.js";
import { fromWire, hasEnded, isTerminal, type RunEvent } from "./events.js";
import type { ConnectionState, FeedOptions, OnConnection } from "./follow.js";
import { GetRunRequestSchema, RunSchema, RunService, StreamRunsRequestSchema } from "./generated/runyard/v1/runs_pb.js";
import { roomIn, type Inbox } from "./inbox.js";
import { fromPlain, toPlain } from "./plain.js";

const RUNS_PER_STREAM = 100;
// Delay before a stream is reopened to add runs, so that several new runs cause one reopening.
const GATHER_MS = 15;
// If a run has no event for this time, the client checks whether the run had already ended at the reader's cursor.
const QUIET_MS = 500;
// A stream that stays open for this time resets the number of failures, even without events.
const STEADY_MS = 5_000;

export interface Follower {
  readonly runId: string;
  cursor: number;
  readonly inbox: Inbox;
  readonly onConnection: OnConnection | undefined;
  /** Whether the stream omits the run until the inbox has room. Only possible if other runs share the stream. */
  parked: boolean;
  /**
   * Whether the client drops the run's events. The next stream starts at the cursor and delivers the dropped events.
   */
  behind: boolean;
  /** Whether the open stream has delivered an event of the run. */
  hasReceived: boolean;
  /** Whether the run may have ended at the reader's cursor. */
  mayBeAtEnd: boolean;
}

export class Group {
  readonly #channel: Channel;
  readonly #options: FeedOptions;
  readonly #members = new Set<Follower>();
  /** Runs whose last event is requested again, to find out whether it is terminal. */
  readonly #atEnd = new Set<Follower>();
  readonly #isAlone: boolean;
  readonly #expel: (follower: Follower) => void;
  #ended = false;
  #failures = 0;
  #interruptedSince = 0;
  #openSince: number | undefined;
  #isIdle = false;
  #opened: AbortController | undefined;
  #pause = new AbortController();
  #gathering: ReturnType<typeof setTimeout> | undefined;

  constructor(channel: Channel, options: FeedOptions, isAlone: boolean, expel: (follower: Follower) => void) {
    this.#channel = channel;
    this.#options = options;
    this.#isAlone = isAlone;
    this.#expel = expel;
  }

  hasRoomFor(follower: Follower): boolean {
    if (this.#ended || this.#isAlone || this.#members.size >= RUNS_PER_STREAM) {
      return false;
    }
    // A stream contains a run only once, so a second reader of the run needs another stream.
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

  /** Keeps the stream open until the last reader leaves. */
  async run(): Promise<void> {
    const stopListening = onOnline(() => this.#reopen());
    try {
      // Wait one microtask, so that the first stream includes all runs that were added in the same task.
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
      member.hasReceived = false;
    }
    try {
      await this.#read(present, opened);
      await this.#cleanEnd(present);
    } catch (error) {
      // An abort is no failure: this class aborts a stream to reopen it, or because no reader is left.
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
    // One timer per event would be slow: a stream can deliver thousands of events per second.
    const { silenceMs } = this.#options;
    const silence = setInterval(() => {
      if (!isHeldBack && Date.now() - heardAt >= silenceMs) {
        opened.abort();
      }
    }, silenceMs / 4);
    try {
      const { messages } = await this.#channel.stream(RunService.method.streamRuns, request, opened.signal);
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
        // No other run shares the stream. Stop reading until the inbox has room.
        if (member && this.#members.has(member) && !member.parked && member.inbox.isFull) {
          isHeldBack = true;
          await roomIn(member.inbox, opened.signal);
          isHeldBack = false;
          heardAt = Date.now();
        }
        // No run is left, so do not wait until the server closes the stream.
        if (this.#members.size === 0) {
          return;
        }
      }
    } finally {
      clearInterval(silence);
      clearTimeout(quiet);
    }
  }

  // A stream that starts after a run's newest event is silent, whether the run has ended or not. Therefore the client
  // requests the newest event again and checks whether it is terminal.
  #askForEnds(present: readonly Follower[]): void {
    for (const member of present) {
      if (member.mayBeAtEnd && !member.hasReceived && !member.parked && this.#members.has(member)) {
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
      throw new RunyardError({ errorCode: CONNECTION_LOST, kind: "unavailable", message: "the stream skipped events" });
    }
    member.inbox.put(event);
    member.cursor = event.sequence;
    member.hasReceived = true;
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

  // Called when a stream ends without an error. If a run's terminal event did not arrive, either the cursor is
  // already at this event, or the connection broke in a way that looked like a normal end.
  async #cleanEnd(present: readonly Follower[]): Promise<void> {
    for (const member of present) {
      if (!this.#members.has(member) || member.parked || member.hasReceived) {
        continue;
      }
      const request = fromPlain(GetRunRequestSchema, { agentRunId: member.runId });
      const run = await this.#channel.ask(RunService.method.getRun, request);
      if (hasEnded(toPlain(RunSchema, run).status) && this.#members.has(member)) {
        this.#leaveEnded(member);
      } else {
        throw new RunyardError({ errorCode: CONNECTION_LOST, kind: "unavailable", message: "the stream ended before the run did" });
      }
    }
  }

  async #recover(error: unknown): Promise<void> {
    if (this.#openSince !== undefined && Date.now() - this.#openSince >= STEADY_MS) {
      this.#failures = 0;
    }
    // The token may have expired. The next attempt gets a new token from the token function.
    const isRenewable = isRunyardError(error) && error.kind === "unauthenticated" && this.#channel.renewsTokens;
    if (!isPassing(error) && !(isRenewable && this.#failures === 0)) {
      if (this.#members.size <= 1) {
        throw error;
      }
      // One run may have caused the refusal. Each run now gets its own stream, so that only that run's reader gets
      // the error.
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
      this.#interruptedSince = now;
    }
    if (this.#failures > this.#options.maxRetries || now - this.#interruptedSince >= this.#options.reconnectForMs) {
      throw error;
    }
    const retryInMs = backoffMs(this.#failures, error.retryAfter);
    this.#tell({ state: "waiting", attempt: this.#failures, retryInMs, error });
    this.#pause = new AbortController();
    // The pause ends early if the last reader leaves or a full inbox has room again.
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

// Calls a listener. An error from the listener must not break the stream, so it is rethrown later.
function tell(listener: OnConnection | undefined, state: ConnectionState): void {
  try {
    listener?.(state);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
