// The transcript of a thread. A thread consists of turns; each turn is a task and its run.
import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { loadAccount } from "../stores/account";
import { isReconnecting } from "../stores/live";
import { type Turn, loadThread } from "../stores/thread";
import { loadThreads } from "../stores/threads";
import { isActive } from "../view/run";
import { Note } from "./basic";
import { Composer } from "./composer";
import { TurnView } from "./turn";

/** Number of newest turns whose steps are loaded automatically. */
const NEWEST = 10;

export function Transcript({
  threadId,
  all,
  sandboxId,
  onFile,
}: {
  threadId: string;
  all: readonly Turn[];
  sandboxId: string | null;
  onFile: (path: string) => void;
}) {
  const place = useRef<HTMLDivElement>(null);
  const stick = useStickToEnd(place, threadId);
  const older = all.length - NEWEST;
  const again = useSignal<{ prompt: string; files: File[]; turn: number } | null>(null);
  const busy = useSignal(all.some((turn) => turn.run && isActive(turn.run.status)));
  useEffect(() => {
    busy.value = all.some((turn) => turn.run && isActive(turn.run.status));
  }, [all]);
  return (
    <div class="transcript">
      <div ref={place} class="turns" tabIndex={0} role="region" aria-label="Transcript">
        {all.map((turn, at) => (
          <TurnView
            key={turn.key}
            turn={turn}
            fresh={at >= older}
            last={at === all.length - 1}
            sandboxId={sandboxId}
            onFile={onFile}
            onAgain={(prompt) => (again.value = { prompt, files: [], turn: (again.peek()?.turn ?? 0) + 1 })}
            onEnded={() => {
              void loadThread(threadId);
              void loadAccount();
            }}
          />
        ))}
        {all.length === 0 && <p class="dim">This thread has no messages yet.</p>}
      </div>
      <div class="transcript-foot">
        {isReconnecting.value && (
          <Note kind="warning">The connection was interrupted. Reconnecting; no data is lost.</Note>
        )}
        <Composer
          threadId={threadId}
          lastAgentId={all.findLast((turn) => turn.run)?.run?.agentId ?? ""}
          busy={busy.value}
          suggestion={again.value}
          onStarted={() => {
            stick();
            void loadThread(threadId);
            void loadThreads();
          }}
        />
      </div>
    </div>
  );
}

// Scrolls to new content, unless the user has scrolled up.
function useStickToEnd(place: { current: HTMLDivElement | null }, threadId: string): () => void {
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return;
    atEnd.current = true;
    const toEnd = () => {
      if (atEnd.current) element.scrollTop = element.scrollHeight;
    };
    let before = element.scrollTop;
    // New content also increases the distance to the end, so the distance alone does not show that the user scrolled.
    // An upward scroll shows that, because the page itself never scrolls up.
    const onScroll = () => {
      if (element.scrollHeight - element.scrollTop - element.clientHeight < 80) atEnd.current = true;
      else if (element.scrollTop < before - 1) atEnd.current = false;
      before = element.scrollTop;
    };
    const observer = new ResizeObserver(toEnd);
    const watchChildren = new MutationObserver(() => {
      observer.disconnect();
      observer.observe(element);
      for (const child of element.children) observer.observe(child);
    });
    watchChildren.observe(element, { childList: true });
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    element.addEventListener("scroll", onScroll, { passive: true });
    toEnd();
    return () => {
      observer.disconnect();
      watchChildren.disconnect();
      element.removeEventListener("scroll", onScroll);
    };
  }, [threadId]);
  return () => {
    atEnd.current = true;
  };
}
