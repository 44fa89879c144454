// The threads of the account, most recently active first.
import { signal } from "@preact/signals";
import type { Thread } from "@runyard/client";
import { runyard } from "../client";
import { Loadable } from "./loaded";

const PAGE = 50;
/** Maximum number of calls per search. Each call searches up to about 500 threads. */
const MAX_CALLS = 4;

/** The threads that the server has found. */
export interface Found {
  words: string;
  threads: readonly Thread[];
  /** The token with which the search continues; empty if all threads are searched. */
  next: string;
}

export const threads = new Loadable<readonly Thread[]>();
/** The token of the next page; empty when all threads are loaded. */
export const moreThreads = signal("");
export const searched = new Loadable<Found>();

export function loadThreads(): Promise<void> {
  return threads.load(async () => {
    const page = await runyard().threads.list({ pageSize: PAGE });
    moreThreads.value = page.nextPageToken;
    return page.items;
  });
}

export function loadMoreThreads(): Promise<void> {
  const before = threads.state.peek().value ?? [];
  return threads.load(async () => {
    const page = await runyard().threads.list({ pageSize: PAGE, pageToken: moreThreads.peek() });
    moreThreads.value = page.nextPageToken;
    return [...before, ...page.items];
  });
}

/** Shows the new name of a thread in the lists, at its place. */
export function showInList(thread: Thread): void {
  const { value, loading } = threads.state.peek();
  // The load in progress may have read the old name.
  if (loading) void loadThreads();
  else if (value) threads.set(value.map((before) => (before.threadId === thread.threadId ? thread : before)));
}

/** Searches names and messages, first in the latest threads. With the same words again, continues with older threads. */
export function searchThreads(words: string): Promise<void> {
  return searched.load(async () => {
    const before = searched.state.peek().value;
    const continued = before?.words === words && before.next !== "" ? before : null;
    const found: Thread[] = [...(continued?.threads ?? [])];
    const enough = found.length + PAGE;
    let next = continued?.next ?? "";
    for (let call = 0; call < MAX_CALLS && found.length < enough; call += 1) {
      const page = await runyard().threads.list({ search: words, pageSize: PAGE, pageToken: next });
      found.push(...page.items);
      next = page.nextPageToken;
      if (next === "") break;
    }
    return { words, threads: found, next };
  });
}

/**
 * Deletes threads one after the other, and reports the number of deleted ones after each. A refused deletion does not
 * keep the others from being deleted. Returns the errors.
 */
export async function deleteThreads(threadIds: readonly string[], onDeleted: (deleted: number) => void): Promise<unknown[]> {
  const errors: unknown[] = [];
  const gone = new Set<string>();
  for (const threadId of threadIds) {
    try {
      await runyard().threads.delete(threadId);
      gone.add(threadId);
      onDeleted(gone.size);
    } catch (error) {
      errors.push(error);
    }
  }
  const found = searched.state.peek().value;
  if (found) searched.set({ ...found, threads: found.threads.filter(({ threadId }) => !gone.has(threadId)) });
  await loadThreads();
  return errors;
}
