// Starts a run again with the same task, agent, model and mode, and with the limits that the thread keeps.
import type { ReasoningEffort, Run, RunRecord } from "@runyard/client";
import { runyard } from "../client";
import { readBudget } from "../view/budget";
import { budgetOf } from "./budgets";

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
