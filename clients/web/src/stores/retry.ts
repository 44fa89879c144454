// Starts a run again with the same task, agent, model and mode, and with the limits that the thread keeps.
import type { ReasoningEffort, Run, RunRecord } from "@runyard/client";
import { runyard } from "../client";
import { readBudget } from "../view/budget";
import { budgetOf } from "./budgets";
import { taskText, turns } from "./thread";

/** Maximum number of messages that are searched for the task of a run. */
const MAX_MESSAGES = 2_000;

/** Returns the text of a run's task. */
export async function findTask(run: RunRecord): Promise<string> {
  const messages = await runyard().threads.listMessages(run.threadId, { pageSize: 200 }).all(MAX_MESSAGES);
  const all = turns({ messages, runs: [run] });
  const task = taskText(all, all.findIndex((turn) => turn.run !== null));
  if (task === null) throw new Error("this run has no task; open its thread and start a new run there");
  return task;
}

/** The files of the task are in the workspace already. The new run waits for an active run of the thread. */
export function retry(run: RunRecord, prompt: string): Promise<Run> {
  const { threadId, agentId, mode, modelRequested, reasoningEffort, memoryEnabled } = run;
  const limits = readBudget(budgetOf(threadId));
  return runyard().agents.run({
    threadId,
    prompt,
    mode,
    ifBusy: "enqueue",
    ...(agentId ? { agentId } : {}),
    ...(modelRequested ? { modelName: modelRequested } : {}),
    ...(reasoningEffort ? { reasoningEffort: reasoningEffort as ReasoningEffort } : {}),
    ...(memoryEnabled === undefined ? {} : { memoryEnabled }),
    ...("budget" in limits ? limits.budget : {}),
  });
}
