// The token that the user entered in the API reference. It is kept only in memory.
import { signal } from "@preact/signals";

/** Empty if the sign-in of the console is used. */
export const entered = signal("");
