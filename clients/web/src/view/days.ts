// Groups dated items by the day in the reader's time zone, and finds and merges items of lists.
import { day } from "./format";

export interface Day<T> {
  label: string;
  items: T[];
}

/** Keeps the order of the items, which must be newest first. Items without a date belong to the last group. */
export function groupByDay<T>(items: readonly T[], dateOf: (item: T) => Date | undefined, now: number): Day<T>[] {
  const today = day(now);
  const yesterday = day(new Date(now).setDate(new Date(now).getDate() - 1));
  const groups: Day<T>[] = [];
  for (const item of items) {
    const at = dateOf(item);
    const date = at ? day(at) : "";
    const label = date === "" ? "Without a date" : date === today ? "Today" : date === yesterday ? "Yesterday" : date;
    const last = groups.at(-1);
    if (last?.label === label) last.items.push(item);
    else groups.push({ label, items: [item] });
  }
  return groups;
}

/** Whether a title contains every word of a search. */
export function matches(title: string, search: string): boolean {
  const lower = title.toLowerCase();
  return search.toLowerCase().split(/\s+/).every((word) => lower.includes(word));
}

/** Merges two lists, newest first, without repetitions. An item in both lists is taken from the first. */
export function merged<T extends { threadId: string; updatedAt?: Date | undefined }>(first: readonly T[], second: readonly T[]): T[] {
  const known = new Set(first.map(({ threadId }) => threadId));
  const all = [...first, ...second.filter(({ threadId }) => !known.has(threadId))];
  return all.sort((left, right) => Number(right.updatedAt ?? 0) - Number(left.updatedAt ?? 0));
}
