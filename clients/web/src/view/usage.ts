// Sums charges by day, thread or run.
import type { UsageEntry } from "@runyard/client";

export type By = "day" | "thread" | "run";

export interface UsageGroup {
  key: string;
  threadId: string;
  calls: number;
  inputTokens: number;
  outputTokens: number;
  credits: number;
}

/** Sums the charges per group, newest group first. Days are UTC days. */
export function groupUsage(entries: readonly UsageEntry[], by: By): UsageGroup[] {
  const groups = new Map<string, UsageGroup>();
  for (const entry of entries) {
    const key = by === "day" ? (entry.createdAt?.toISOString().slice(0, 10) ?? "") : by === "thread" ? entry.threadId : entry.agentRunId;
    let group = groups.get(key);
    if (!group) {
      group = { key, threadId: entry.threadId, calls: 0, inputTokens: 0, outputTokens: 0, credits: 0 };
      groups.set(key, group);
    }
    group.calls += 1;
    group.inputTokens += entry.inputTokens;
    group.outputTokens += entry.outputTokens;
    group.credits += entry.credits;
  }
  return [...groups.values()];
}
