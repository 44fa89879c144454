// Values loaded from the server. A reload keeps the previous value until the new one arrives.
import { type Signal, signal } from "@preact/signals";
import { explainError } from "../errors";
import type { Explained } from "../view/refusal";

export interface Loaded<T> {
  value: T | null;
  refused: Explained | null;
  loading: boolean;
}

// All instances. They are created only while modules load, so the list does not grow later.
const all: Loadable<unknown>[] = [];

export function forgetLoaded(): void {
  for (const loadable of all) loadable.clear();
}

/** A value from the server. If loads overlap, only the result of the last load is used. */
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

  /** Discards loads in progress. */
  set(value: T): void {
    this.#generation += 1;
    this.state.value = { value, refused: null, loading: false };
  }

  /** Discards loads in progress. */
  clear(): void {
    this.#generation += 1;
    this.state.value = { value: null, refused: null, loading: false };
  }

  get value(): T | null {
    return this.state.value.value;
  }
}
