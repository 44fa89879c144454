// The threads of the account, most recently active first.
import { signal } from "@preact/signals";
import type { Thread } from "@runyard/client";
import { runyard } from "../client";
import { Loadable } from "./loaded";

const PAGE = 50;

export const threads = new Loadable<readonly Thread[]>();
/** The token of the next page; empty when all threads are loaded. */
export const moreThreads = signal("");

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
