// The memories of the account and its agents.
import { signal } from "@preact/signals";
import type { Memory } from "@runyard/client";
import { runyard } from "../client";
import { Loadable } from "./loaded";

const PAGE = 50;

/** `holder` is an agent's id, "account", or "" for all memories. */
export interface MemoryFilter {
  holder: string;
  search: string;
}

export const memories = new Loadable<readonly Memory[]>();
/** The token of the next page; empty when all memories are loaded. */
export const moreMemories = signal("");

export function loadMemories(filter: MemoryFilter): Promise<void> {
  return memories.load(async () => {
    const page = await runyard().memories.list({ ...query(filter), pageSize: PAGE });
    moreMemories.value = page.nextPageToken;
    return page.items;
  });
}

export function loadMoreMemories(filter: MemoryFilter): Promise<void> {
  const before = memories.state.peek().value ?? [];
  return memories.load(async () => {
    const page = await runyard().memories.list({ ...query(filter), pageSize: PAGE, pageToken: moreMemories.peek() });
    moreMemories.value = page.nextPageToken;
    return [...before, ...page.items];
  });
}

function query({ holder, search }: MemoryFilter) {
  const of = holder === "account" ? { accountOnly: true } : { agentId: holder };
  return { ...of, search };
}
