// The threads of the account, latest activity first, page by page.
import { signal } from "@preact/signals";
import type { Thread } from "@runyard/client";
import { runyard } from "../client";
import { Loadable } from "./loaded";

const PAGE = 50;

/** The threads that are loaded. */
export const threads = new Loadable<readonly Thread[]>();
/** Asks for more threads; empty when all are loaded. */
export const moreThreads = signal("");

/** Loads the threads in which something was last done again. */
export function loadThreads(): Promise<void> {
  return threads.load(async () => {
    const page = await runyard().threads.list({ pageSize: PAGE });
    moreThreads.value = page.nextPageToken;
    return page.items;
  });
}

/** Loads the next page of threads. */
export function loadMoreThreads(): Promise<void> {
  const before = threads.state.peek().value ?? [];
  return threads.load(async () => {
    const page = await runyard().threads.list({ pageSize: PAGE, pageToken: moreThreads.peek() });
    moreThreads.value = page.nextPageToken;
    return [...before, ...page.items];
  });
}
