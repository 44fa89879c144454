// Branches of threads: a new thread that begins with the messages of another one.
import type { Thread } from "@runyard/client";
import { runyard } from "../client";
import type { CopiedMessage } from "../view/branch";

/** Creates the branch in the project of the thread, so that both threads share the workspace. */
export async function createBranch(of: Thread, messages: readonly CopiedMessage[]): Promise<Thread> {
  const client = runyard();
  const branch = await client.threads.create({ projectId: of.projectId, name: `${of.name || "Untitled"} (branch)` });
  try {
    for (const { role, content } of messages) await client.threads.addMessage(branch.threadId, { role, content });
    return branch;
  } catch (error) {
    // An incomplete branch would mislead its reader. The error of the copy is more useful than one of the deletion.
    await client.threads.delete(branch.threadId).catch(() => {});
    throw error;
  }
}
