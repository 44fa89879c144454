// Polite announcements for screen readers: the end of a run, a saved form, a copied text. Streamed text is not announced.
import { signal } from "@preact/signals";

/** The last announcement. */
export const announcement = signal("");

let even = false;

/** Announces a text. A zero-width space makes a repeated text differ, so that it is announced again. */
export function announce(text: string): void {
  even = !even;
  announcement.value = even ? text : `${text}\u200b`;
}
