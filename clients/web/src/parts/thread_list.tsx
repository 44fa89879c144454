// A list of threads.
import { MessagesSquare } from "lucide";
import type { Thread } from "@runyard/client";
import { useNow } from "../stores/clock";
import { runningThreads, waitingThreads } from "../stores/active";
import { ago } from "../view/format";
import { State } from "./basic";
import { Icon } from "./icon";

export function ThreadList({ threads }: { threads: readonly Thread[] }) {
  const now = useNow();
  return (
    <ul class="thread-list">
      {threads.map((thread) => (
        <li key={thread.threadId}>
          <a class="thread-row" href={`#/threads/${thread.threadId}`}>
            <Icon of={MessagesSquare} size={17} />
            <span class="thread-row-name">{thread.name || "Untitled"}</span>
            {waitingThreads.value.has(thread.threadId) && <State of="waiting" />}
            {runningThreads.value.has(thread.threadId) && <State of="running" />}
            {thread.updatedAt && (
              <time class="small dim numbers" dateTime={thread.updatedAt.toISOString()}>
                {ago(thread.updatedAt, now)}
              </time>
            )}
          </a>
        </li>
      ))}
    </ul>
  );
}
