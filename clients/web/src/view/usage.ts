// Sums charges by day, model, agent, thread or run, for the plot, the table and the CSV file of the usage page.
import type { UsageEntry } from "@runyard/client";
import Papa from "papaparse";

export type By = "day" | "model" | "agent" | "thread" | "run";
export type Metric = "credits" | "tokens" | "calls";

export interface UsageGroup {
  /** The day, the name of the model, or the id of the agent, thread or run. Empty for calls that belong to none. */
  key: string;
  threadId: string;
  calls: number;
  inputTokens: number;
  outputTokens: number;
  credits: number;
}

const DAY_MS = 86_400_000;

/** Sums the charges per group, newest group first. Days are UTC days. `agentOf` returns the id of a run's agent. */
export function groupUsage(entries: readonly UsageEntry[], by: By, agentOf: (runId: string) => string = () => ""): UsageGroup[] {
  const keyOf: Record<By, (entry: UsageEntry) => string> = {
    day: ({ createdAt }) => (createdAt ? dayOf(createdAt) : ""),
    model: ({ modelName }) => modelName,
    agent: ({ agentRunId }) => agentOf(agentRunId),
    thread: ({ threadId }) => threadId,
    run: ({ agentRunId }) => agentRunId,
  };
  const groups = new Map<string, UsageGroup>();
  for (const entry of entries) {
    const key = keyOf[by](entry);
    let group = groups.get(key);
    if (!group) groups.set(key, (group = { ...emptyGroup(key), threadId: entry.threadId }));
    add(group, { ...entry, calls: 1 });
  }
  return [...groups.values()];
}

export function metricOf(group: UsageGroup, metric: Metric): number {
  return metric === "tokens" ? group.inputTokens + group.outputTokens : group[metric];
}

/** Returns a group for each day of a period that ends now, oldest first, also for days without charges. */
export function everyDay(groups: readonly UsageGroup[], days: number, now: number): UsageGroup[] {
  const known = new Map(groups.map((group) => [group.key, group]));
  return Array.from({ length: days }, (_none, at) => {
    const key = dayOf(new Date(now - (days - 1 - at) * DAY_MS));
    return known.get(key) ?? emptyGroup(key);
  });
}

/** Returns the `limit` largest groups by a metric, largest first. The others become one group with the key `rest`. */
export function largest(groups: readonly UsageGroup[], metric: Metric, limit: number, rest: string): UsageGroup[] {
  const ordered = [...groups].sort((left, right) => metricOf(right, metric) - metricOf(left, metric));
  if (ordered.length <= limit) return ordered;
  const others = emptyGroup(rest);
  for (const group of ordered.slice(limit)) add(others, group);
  return [...ordered.slice(0, limit), others];
}

/** Returns a CSV file. Spreadsheets never execute a name as a formula. */
export function usageCsv(groups: readonly UsageGroup[], by: By, nameOf: (group: UsageGroup) => string): string {
  const head = by === "day" || by === "model" ? [by] : [by, `${by}_id`];
  const rows = groups.map((group) => [
    ...(head.length === 1 ? [nameOf(group)] : [nameOf(group), group.key]),
    group.calls,
    group.inputTokens,
    group.outputTokens,
    group.credits,
  ]);
  return `${Papa.unparse({ fields: [...head, "model_calls", "input_tokens", "output_tokens", "credits"], data: rows }, { escapeFormulae: true })}\r\n`;
}

function emptyGroup(key: string): UsageGroup {
  return { key, threadId: "", calls: 0, inputTokens: 0, outputTokens: 0, credits: 0 };
}

function add(group: UsageGroup, { calls, inputTokens, outputTokens, credits }: Pick<UsageGroup, "calls" | "inputTokens" | "outputTokens" | "credits">): void {
  group.calls += calls;
  group.inputTokens += inputTokens;
  group.outputTokens += outputTokens;
  group.credits += credits;
}

function dayOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}
