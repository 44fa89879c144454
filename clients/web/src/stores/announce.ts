// Polite announcements for screen readers: the end of a run, a saved form, a copied text. Streamed text is not
// announced.
import { signal } from "@preact/signals";

/** The text that screen readers announced last. */
export const announcement = signal("");

let even = false;

/**
 * Makes screen readers announce a text. They ignore an unchanged text, so every second text gets an additional
 * zero-width space.
 */
export function announce(text: string): void {
  even = !even;
  announcement.value = even ? text : `${text}\u200b`;
}
