// A queue of events between a stream (group.ts) and its reader.

import type { RunEvent } from "./events.js";

const INBOX_EVENTS = 1_024;

export class Inbox {
  readonly #events: RunEvent[] = [];
  #taken = 0;
  #wake: (() => void) | undefined;
  #failure: { error: unknown } | undefined;
  /** Number of runs that have not ended. */
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

  /** Drops all events, because the reader has left. */
  end(): void {
    this.#events.length = 0;
    this.#taken = 0;
    this.#waiting = [];
    this.open = 0;
    this.#wake?.();
  }

  /** Calls back once, when the queue has shrunk to a quarter of its maximum. */
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

/** Waits until a full inbox has room. Rejects with the signal's reason on abort. */
export function roomIn(inbox: Inbox, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
    inbox.whenRoom(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    });
  });
}
