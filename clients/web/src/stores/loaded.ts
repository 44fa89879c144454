// Values loaded from the server. The previous value stays visible during a reload.
import { type Signal, signal } from "@preact/signals";
import { explainError } from "../errors";
import type { Explained } from "../view/refusal";

export interface Loaded<T> {
  value: T | null;
  refused: Explained | null;
  loading: boolean;
}

// All instances, cleared on sign-out. Instances are created only while modules load, so the list does not grow later.
const all: Loadable<unknown>[] = [];

/** Clears all loaded values. Called on sign-out. */
export function forgetLoaded(): void {
  for (const loadable of all) loadable.clear();
}

/** A value that can be loaded. If loads overlap, only the result of the last load is used. */
export class Loadable<T> {
  readonly state: Signal<Loaded<T>> = signal({ value: null, refused: null, loading: false });
  #generation = 0;

  /** Create instances only at the top level of a module, because they are never released. */
  constructor() {
    all.push(this as Loadable<unknown>);
  }

  /** Loads the value. A failure keeps the previous value and sets `refused`. */
  async load(request: () => Promise<T>): Promise<void> {
    this.#generation += 1;
    const generation = this.#generation;
    this.state.value = { ...this.state.peek(), loading: true };
    try {
      const value = await request();
      if (generation === this.#generation) this.state.value = { value, refused: null, loading: false };
    } catch (error) {
      if (generation === this.#generation) {
        this.state.value = { value: this.state.peek().value, refused: explainError(error), loading: false };
      }
    }
  }

  /** Sets the value without a request, and discards loads in progress. */
  set(value: T): void {
    this.#generation += 1;
    this.state.value = { value, refused: null, loading: false };
  }

  /** Removes the value and discards loads in progress. */
  clear(): void {
    this.#generation += 1;
    this.state.value = { value: null, refused: null, loading: false };
  }

  /** The value, read as a signal. */
  get value(): T | null {
    return this.state.value.value;
  }
}
