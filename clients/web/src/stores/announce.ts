// Polite announcements for screen readers: the end of a run, a saved form, copied text. Streamed text is not
// announced.
import { signal } from "@preact/signals";

export const announcement = signal("");

let even = false;

/**
 * Makes screen readers announce `text`. Screen readers ignore unchanged content, so every second announcement ends with
 * a zero-width space.
 */
export function announce(text: string): void {
  even = !even;
  announcement.value = even ? text : `${text}\u200b`;
}
