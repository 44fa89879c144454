// The messages that a branch of a thread begins with.
import type { Turn } from "../stores/thread";

/** A message as `AddMessage` accepts it. */
export interface CopiedMessage {
  role: "user" | "assistant";
  content: string;
}

/**
 * Returns the texts of all turns before `at`, and of the turn `at` itself if `withTurn` is set. Calls of tools and their
 * results are left out. Texts of one author in a row become one message, because some models refuse others.
 */
export function copiedMessages(all: readonly Turn[], at: number, withTurn: boolean): CopiedMessage[] {
  const copied: CopiedMessage[] = [];
  for (const { prompt, added, answers } of all.slice(0, withTurn ? at + 1 : at)) {
    const later = [...added, ...answers].sort((left, right) => Number(left.createdAt ?? 0) - Number(right.createdAt ?? 0));
    for (const { role, content } of prompt ? [prompt, ...later] : later) {
      if (content.trim() === "" || (role !== "user" && role !== "assistant")) continue;
      const last = copied.at(-1);
      if (last?.role === role) last.content += `\n\n${content}`;
      else copied.push({ role, content });
    }
  }
  return copied;
}
