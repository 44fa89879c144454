// Announcements for screen readers, such as the end of a run. Streamed text is not announced.
import { signal } from "@preact/signals";

export const announcement = signal("");

let even = false;

/** Screen readers ignore unchanged text, so every second announcement ends with a zero-width space. */
export function announce(text: string): void {
  even = !even;
  announcement.value = even ? text : `${text}\u200b`;
}
