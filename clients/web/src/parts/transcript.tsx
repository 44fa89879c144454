// The transcript of a thread. A thread consists of turns; each turn is a task and its run.
import { ArrowDown } from "lucide";
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { loadAccount } from "../stores/account";
import { isReconnecting } from "../stores/live";
import { retry } from "../stores/retry";
import { type Turn, loadThread } from "../stores/thread";
import { loadThreads } from "../stores/threads";
import { isActive } from "../view/run";
import { Note } from "./basic";
import { Composer, type Suggestion } from "./composer";
import { Icon } from "./icon";
import { useStick } from "./stick";
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
  const { atEnd, toEnd } = useStick(place, threadId);
  const older = all.length - NEWEST;
  const again = useSignal<Suggestion | null>(null);
  const busy = useSignal(all.some((turn) => turn.run && isActive(turn.run.status)));
  useEffect(() => {
    busy.value = all.some((turn) => turn.run && isActive(turn.run.status));
  }, [all]);
  const onStarted = () => {
    toEnd();
    void loadThread(threadId);
    void loadThreads();
  };
  const taskOf = ({ prompt, run }: Turn) => {
    if (!prompt || !run) return null;
    const { agentId = "", modelRequested: model = "", mode } = run;
    return {
      retry: async () => {
        await retry(run, prompt.content);
        void loadAccount();
        onStarted();
      },
      edit: () => (again.value = { prompt: prompt.content, files: [], turn: (again.peek()?.turn ?? 0) + 1, agentId, model, mode }),
    };
  };
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
            task={taskOf(turn)}
            onEnded={() => {
              void loadThread(threadId);
              void loadAccount();
            }}
          />
        ))}
        {all.length === 0 && <p class="dim">This thread has no messages yet.</p>}
      </div>
      <div class="transcript-foot">
        {!atEnd.value && (
          <button
            type="button"
            class="button button-small jump"
            onClick={() => {
              toEnd();
              place.current?.focus({ preventScroll: true });
            }}
          >
            <Icon of={ArrowDown} size={14} />
            Jump to latest
          </button>
        )}
        {isReconnecting.value && (
          <Note kind="warning">The connection was interrupted. Reconnecting; no data is lost.</Note>
        )}
        <Composer
          threadId={threadId}
          lastAgentId={all.findLast((turn) => turn.run)?.run?.agentId ?? ""}
          busy={busy.value}
          suggestion={again.value}
          onStarted={onStarted}
          onSteered={() => {
            toEnd();
            void loadThread(threadId);
          }}
        />
      </div>
    </div>
  );
}
