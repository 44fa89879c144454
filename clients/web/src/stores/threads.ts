// The threads of the account, most recently active first.
import { computed, signal } from "@preact/signals";
import type { Thread } from "@runyard/client";
import { runyard } from "../client";
import { Loadable } from "./loaded";

const PAGE = 50;
/** Maximum number of threads whose titles are searched. The server has no search, so the console loads the threads. */
export const MAX_SEARCHED = 2_000;

export const threads = new Loadable<readonly Thread[]>();
/** The token of the next page; empty when all threads are loaded. */
export const moreThreads = signal("");
/** The threads whose titles are searched; not loaded before the first search. */
export const searched = new Loadable<readonly Thread[]>();
/** Whether older threads exist that are not searched. */
export const isSearchCut = computed(() => (searched.value?.length ?? 0) >= MAX_SEARCHED);

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

export function loadSearched(): Promise<void> {
  return searched.load(() => runyard().threads.list({ pageSize: 200 }).all(MAX_SEARCHED));
}

/**
 * Deletes threads one after the other, and reports the number of deleted ones after each. A refused deletion does not
 * keep the others from being deleted. Returns the errors.
 */
export async function deleteThreads(threadIds: readonly string[], onDeleted: (deleted: number) => void): Promise<unknown[]> {
  const errors: unknown[] = [];
  let deleted = 0;
  for (const threadId of threadIds) {
    try {
      await runyard().threads.delete(threadId);
      deleted += 1;
      onDeleted(deleted);
    } catch (error) {
      errors.push(error);
    }
  }
  await Promise.all([loadThreads(), ...(searched.state.peek().value ? [loadSearched()] : [])]);
  return errors;
}
