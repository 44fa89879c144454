// One thread with its messages and runs, grouped into turns.
import type { RunRecord, Thread, ThreadMessage } from "@runyard/client";
import { runyard } from "../client";
import { Loadable } from "./loaded";

/** Maximum number of messages, and of runs, that are loaded for a thread. */
const MAX_ITEMS = 2_000;

export interface WholeThread {
  thread: Thread;
  /** Oldest first. */
  messages: readonly ThreadMessage[];
  /** Oldest first. */
  runs: readonly RunRecord[];
  /** The workspace of the thread's project; null if it has none yet. */
  sandboxId: string | null;
}

/** A user message and its run. Either may be missing. */
export interface Turn {
  key: string;
  prompt: ThreadMessage | null;
  run: RunRecord | null;
  /** Messages to the running agent. */
  added: readonly ThreadMessage[];
  /** Shown while the run's events are not loaded. */
  answers: readonly ThreadMessage[];
}

export const whole = new Loadable<WholeThread>();

export function loadThread(threadId: string): Promise<void> {
  return whole.load(async () => {
    const client = runyard();
    const [thread, messages, runs] = await Promise.all([
      client.threads.get(threadId),
      client.threads.listMessages(threadId, { pageSize: 200 }).all(MAX_ITEMS),
      client.runs.list({ threadId, pageSize: 200 }).all(MAX_ITEMS),
    ]);
    // The runs are newest first. A thread without runs can share the workspace of another thread, as a branch does.
    const sandboxId = runs.find((run) => run.sandboxId)?.sandboxId ?? (await client.projects.get(thread.projectId)).sandboxId ?? null;
    return { thread, messages, runs: [...runs].reverse(), sandboxId };
  });
}

/** Shows the new name of a thread. */
export function showRenamed(thread: Thread): void {
  const { value, loading } = whole.state.peek();
  if (value?.thread.threadId !== thread.threadId) return;
  // The load in progress may have read the old name.
  if (loading) void loadThread(thread.threadId);
  else whole.set({ ...value, thread });
}

/** Adds a message that the server has stored, before the thread is loaded again. */
export function showMessage(message: ThreadMessage): void {
  const before = whole.state.peek().value;
  if (before?.thread.threadId === message.threadId) whole.set({ ...before, messages: [...before.messages, message] });
}

export function turns({ messages, runs }: Pick<WholeThread, "messages" | "runs">): Turn[] {
  const placed: { at: number; turn: Turn }[] = [];
  const byRun = new Map<string, ThreadMessage[]>();
  for (const message of messages) {
    if (message.agentRunId) {
      const ofRun = byRun.get(message.agentRunId);
      if (ofRun) ofRun.push(message);
      else byRun.set(message.agentRunId, [message]);
    } else if (message.role !== "tool") {
      const isUser = message.role === "user";
      placed.push({
        at: Number(message.createdAt ?? 0),
        turn: { key: message.messageId, prompt: isUser ? message : null, run: null, added: [], answers: isUser ? [] : [message] },
      });
    }
  }
  for (const run of runs) {
    const ofRun = byRun.get(run.agentRunId) ?? [];
    placed.push({
      at: Number(run.createdAt ?? 0),
      turn: {
        key: run.agentRunId,
        prompt: ofRun.find((message) => message.role === "user" && message.delivery === undefined) ?? null,
        run,
        added: ofRun.filter((message) => message.delivery !== undefined),
        answers: ofRun.filter((message) => message.role === "assistant"),
      },
    });
  }
  return placed.sort((left, right) => left.at - right.at).map(({ turn }) => turn);
}

/**
 * Returns the text of a turn's task; null if it has none. A run that was started without a prompt works on the messages
 * before it.
 */
export function taskText(all: readonly Turn[], at: number): string | null {
  for (let place = at; place >= 0; place -= 1) {
    const { prompt, run } = all[place]!;
    if (place < at && run) return null;
    if (prompt) return prompt.content;
  }
  return null;
}
