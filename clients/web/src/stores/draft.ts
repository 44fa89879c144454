// A task that the composer of a thread shows when the thread opens.
import { go } from "../router";

export interface Draft {
  prompt: string;
  agentId: string;
  model: string;
  mode: string;
}

let waiting: { threadId: string; draft: Draft } | null = null;

/** Opens a thread with the task in its composer. */
export function openWithDraft(threadId: string, draft: Draft): void {
  waiting = { threadId, draft };
  go(`/threads/${threadId}`);
}

/** Returns the draft for a thread once, and forgets the draft for any other thread. */
export function takeDraft(threadId: string): Draft | null {
  const draft = waiting?.threadId === threadId ? waiting.draft : null;
  waiting = null;
  return draft;
}
