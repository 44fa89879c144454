// Something that is loaded from the server: the last value stays while it is loaded again.
import { type Signal, signal } from "@preact/signals";
import { trouble } from "../trouble";
import type { Explained } from "../view/refusal";

/** A value, or why there is none. */
export interface Loaded<T> {
  value: T | null;
  refused: Explained | null;
  loading: boolean;
}

/** A value that can be loaded. Only the last of several loads counts. */
export class Loadable<T> {
  readonly state: Signal<Loaded<T>> = signal({ value: null, refused: null, loading: false });
  #turn = 0;

  /** Loads the value. */
  async load(ask: () => Promise<T>): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    this.state.value = { ...this.state.peek(), loading: true };
    try {
      const value = await ask();
      if (turn === this.#turn) this.state.value = { value, refused: null, loading: false };
    } catch (error) {
      if (turn === this.#turn) {
        this.state.value = { value: this.state.peek().value, refused: trouble(error), loading: false };
      }
    }
  }

  /** Sets the value without asking. */
  set(value: T): void {
    this.#turn += 1;
    this.state.value = { value, refused: null, loading: false };
  }

  /** Forgets the value. */
  clear(): void {
    this.#turn += 1;
    this.state.value = { value: null, refused: null, loading: false };
  }

  /** The value, read as a signal. */
  get value(): T | null {
    return this.state.value.value;
  }
}
