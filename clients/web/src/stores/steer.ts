// Where a message goes while a run of the thread is active: to the running agent, or to a new run. The browser keeps
// the choice.
import { signal } from "@preact/signals";
import type { ThreadMessage } from "@runyard/client";
import { runyard } from "../client";
import { announce } from "./announce";
import { readStored, writeStored } from "./stored";
import { showMessage } from "./thread";

/** `now` sends the message to the running agent. The others start a run: after the active one, or in its place. */
export type WhenBusy = "now" | "after" | "interrupt";

const KEY = "runyard.when-busy";

export const whenBusy = signal<WhenBusy>(readStored(KEY) === "now" ? "now" : "after");

/** An interruption is chosen anew each time. */
export function chooseWhenBusy(choice: WhenBusy): void {
  whenBusy.value = choice;
  if (choice !== "interrupt") writeStored(KEY, choice === "now" ? "now" : null);
}

/** Sends a message to the active run. Returns whether a run receives it: the run may have ended in the meantime. */
export async function steer(threadId: string, content: string): Promise<boolean> {
  const message: ThreadMessage = await runyard().threads.addMessage(threadId, { content });
  showMessage(message);
  if (message.delivery === undefined) return false;
  announce("Sent to the agent");
  return true;
}
