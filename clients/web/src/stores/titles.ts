// Names of new threads from the model. The call costs credits, so the user can switch it off. API clients are never
// charged for it unless they call it.
import { signal } from "@preact/signals";
import { runyard } from "../client";
import { loadAccount } from "./account";
import { readStored, writeStored } from "./stored";
import { showRenamed } from "./thread";
import { showInList } from "./threads";

const KEY = "runyard.titles";

export const suggestsTitles = signal(readStored(KEY) !== "off");

export function chooseTitles(suggests: boolean): void {
  suggestsTitles.value = suggests;
  writeStored(KEY, suggests ? null : "off");
}

/** Threads that this tab has started. Their first run may end before the page shows the thread. */
const started = new Set<string>();
/** Threads for which this tab has asked. */
const asked = new Set<string>();

export function noteStarted(threadId: string): void {
  if (suggestsTitles.peek()) started.add(threadId);
}

export function isStartedHere(threadId: string): boolean {
  return started.has(threadId);
}

/** Asks once for a name of the thread, and shows it. A failure is not reported, because the thread keeps its name. */
export async function suggestTitle(threadId: string): Promise<void> {
  if (!suggestsTitles.peek() || asked.has(threadId)) return;
  asked.add(threadId);
  try {
    const thread = await once(`runyard.title.${threadId}`, () => runyard().threads.suggestTitle(threadId));
    if (!thread) return;
    showRenamed(thread);
    showInList(thread);
    void loadAccount();
  } catch {
    // For example, the credits do not cover the call.
  }
}

/** Two tabs with the same thread make one call. Browsers offer locks only to secure pages. */
async function once<T>(name: string, call: () => Promise<T>): Promise<T | null> {
  const locks = navigator.locks as LockManager | undefined;
  return locks ? await locks.request(name, { ifAvailable: true }, (lock) => (lock ? call() : null)) : await call();
}
