// What a screen reader is told, politely: what a run has come to, what was saved, what was copied. Never each piece of text.
import { signal } from "@preact/signals";

/** The last announcement. */
export const announcement = signal("");

let even = false;

/** Says something. The same words twice in a row are said twice. */
export function announce(text: string): void {
  even = !even;
  announcement.value = even ? text : `${text}\u200b`;
}
