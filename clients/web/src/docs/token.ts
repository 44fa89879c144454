// The token that the user entered in the API reference. It is kept only in memory.
import { signal } from "@preact/signals";

/** Null if the user wants no other token than that of the console. */
export const entered = signal<string | null>(null);
