// A list of threads: links, or checkboxes while the user selects threads.
import { MessagesSquare } from "lucide";
import type { Thread } from "@runyard/client";
import { useNow } from "../stores/clock";
import { runningThreads, waitingThreads } from "../stores/active";
import { ago, withoutMarks } from "../view/format";
import { State } from "./basic";
import { Icon } from "./icon";

export interface Selection {
  /** Ids of the selected threads. */
  chosen: ReadonlySet<string>;
  onToggle: (threadId: string) => void;
}

export function ThreadList({ threads, label, selection = null }: { threads: readonly Thread[]; label?: string; selection?: Selection | null }) {
  return (
    <ul class="thread-list" aria-label={label}>
      {threads.map((thread) => (
        <li key={thread.threadId}>
          {selection ? (
            <label class="thread-row">
              <input type="checkbox" checked={selection.chosen.has(thread.threadId)} onChange={() => selection.onToggle(thread.threadId)} />
              <Row thread={thread} />
            </label>
          ) : (
            <a class="thread-row" href={`#/threads/${thread.threadId}`}>
              <Icon of={MessagesSquare} size={17} />
              <Row thread={thread} />
            </a>
          )}
        </li>
      ))}
    </ul>
  );
}

function Row({ thread }: { thread: Thread }) {
  const now = useNow();
  return (
    <>
      <span class="thread-row-text">
        <span class="thread-row-name">{thread.name || "Untitled"}</span>
        {thread.searchMatch && (
          <span class="thread-row-match small dim">
            {thread.searchMatch.parts.map(({ text, isWord }, at) => (isWord ? <mark key={at}>{text}</mark> : withoutMarks(text)))}
          </span>
        )}
      </span>
      {waitingThreads.value.has(thread.threadId) && <State of="waiting" />}
      {runningThreads.value.has(thread.threadId) && <State of="running" />}
      {thread.updatedAt && (
        <time class="small dim numbers" dateTime={thread.updatedAt.toISOString()}>
          {ago(thread.updatedAt, now)}
        </time>
      )}
    </>
  );
}
