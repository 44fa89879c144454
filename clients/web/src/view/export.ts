// A thread as a document: Markdown to read, JSON to process.
import type { RunRecord, Thread, ThreadMessage } from "@runyard/client";

export type ExportFormat = "markdown" | "json";

/** A thread with all its messages and runs, oldest first. */
export interface ThreadRecord {
  thread: Thread;
  messages: readonly ThreadMessage[];
  runs: readonly RunRecord[];
}

export function exported(record: ThreadRecord, format: ExportFormat, now: Date): string {
  return format === "json" ? asJson(record, now) : asMarkdown(record, now);
}

/** For example sales-report.md. */
export function exportName(name: string, format: ExportFormat): string {
  const words = name.toLowerCase().normalize("NFKC").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 60);
  return `${words || "thread"}.${format === "json" ? "json" : "md"}`;
}

function asJson({ thread, messages, runs }: ThreadRecord, now: Date): string {
  return `${JSON.stringify({ exportedAt: now, thread, messages, runs }, null, 2)}\n`;
}

function asMarkdown({ thread, messages, runs }: ThreadRecord, now: Date): string {
  const byRun = new Map(runs.map((run) => [run.agentRunId, run]));
  const parts = [`# ${oneLine(thread.name || "Untitled")}`, `Thread \`${thread.threadId}\`, exported ${stamp(now)}.`];
  for (const message of messages) {
    const run = message.agentRunId ? byRun.get(message.agentRunId) : undefined;
    if (message.role === "tool") parts.push("Result:", fenced(message.content, ""));
    else {
      const author = message.role === "user" ? "You" : run?.modelName ? `Agent (${run.modelName})` : "Agent";
      parts.push(`## ${author}${message.createdAt ? `, ${stamp(message.createdAt)}` : ""}`);
      if (message.content !== "") parts.push(message.content);
      if (message.partial) parts.push("*The answer was cut off here.*");
    }
    if (message.files.length > 0) parts.push(`Files: ${message.files.map((path) => `\`${path}\``).join(", ")}`);
    for (const call of message.toolCalls) {
      parts.push(`Tool call \`${call.name}\`:`, call.invalidArguments ? fenced(call.invalidArguments, "") : fenced(JSON.stringify(call.arguments ?? {}, null, 2), "json"));
    }
  }
  return `${parts.join("\n\n")}\n`;
}

/** A code block whose fence is longer than each run of backticks in the text. */
function fenced(text: string, language: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${text.replace(/\n$/, "")}\n${fence}`;
}

/** For example 2026-11-21 22:53 UTC. */
function stamp(at: Date): string {
  return `${at.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}
