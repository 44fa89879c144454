// The transcript of a thread. A thread consists of turns; each turn is a task and its run.
import { ArrowDown } from "lucide";
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Thread } from "@runyard/client";
import { go } from "../router";
import { loadAccount } from "../stores/account";
import { announce } from "../stores/announce";
import { createBranch } from "../stores/branch";
import { type Draft, openWithDraft, takeDraft } from "../stores/draft";
import { isReconnecting } from "../stores/live";
import { retry } from "../stores/retry";
import { type Turn, loadThread, taskText } from "../stores/thread";
import { loadThreads } from "../stores/threads";
import { isStartedHere, suggestTitle } from "../stores/titles";
import { copiedMessages } from "../view/branch";
import { isActive } from "../view/run";
import { Note } from "./basic";
import { Composer, type Suggestion } from "./composer";
import { Icon } from "./icon";
import { useStick } from "./stick";
import type { TurnActions } from "./run_actions";
import { TurnView } from "./turn";

/** Number of newest turns whose steps are loaded automatically. */
const NEWEST = 10;

export function Transcript({
  thread,
  all,
  sandboxId,
  onFile,
}: {
  thread: Thread;
  all: readonly Turn[];
  sandboxId: string | null;
  onFile: (path: string) => void;
}) {
  const { threadId } = thread;
  const place = useRef<HTMLDivElement>(null);
  const { atEnd, toEnd } = useStick(place, threadId);
  const older = all.length - NEWEST;
  const again = useSignal<Suggestion | null>(null);
  const suggest = (draft: Draft) => (again.value = { ...draft, files: [], turn: (again.peek()?.turn ?? 0) + 1 });
  useEffect(() => {
    const draft = takeDraft(threadId);
    if (draft) suggest(draft);
  }, [threadId]);
  const busy = useSignal(all.some((turn) => turn.run && isActive(turn.run.status)));
  useEffect(() => {
    busy.value = all.some((turn) => turn.run && isActive(turn.run.status));
  }, [all]);
  const runs = all.flatMap(({ run }) => run ?? []);
  useEffect(() => {
    const [first] = runs;
    if (first && runs.length === 1 && !isActive(first.status) && isStartedHere(threadId)) void suggestTitle(threadId);
  }, [all]);
  const onStarted = () => {
    toEnd();
    void loadThread(threadId);
    void loadThreads();
  };
  const branch = async (at: number, withTurn: boolean, draft: Draft | null) => {
    const { threadId: branchId } = await createBranch(thread, copiedMessages(all, at, withTurn));
    announce("Opened the branch. It shares the files of this thread.");
    void loadThreads();
    if (draft) openWithDraft(branchId, draft);
    else go(`/threads/${branchId}`);
  };
  const actionsOf = ({ run }: Turn, at: number): TurnActions & { branchBefore: (() => Promise<void>) | null } => {
    const task = taskText(all, at);
    const draft = task === null ? null : { prompt: task, agentId: run?.agentId ?? "", model: run?.modelRequested ?? "", mode: run?.mode ?? "code" };
    const isOpen = run !== null && isActive(run.status);
    return {
      retry:
        run && task !== null && !isOpen
          ? async () => {
              await retry(run, task);
              void loadAccount();
              onStarted();
            }
          : null,
      edit: draft && (() => void suggest(draft)),
      branch: isOpen ? null : () => branch(at, true, null),
      branchBefore: draft && at > 0 ? () => branch(at, false, draft) : null,
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
            actions={actionsOf(turn, at)}
            onEnded={() => {
              void loadThread(threadId);
              void loadAccount();
              // The first run of the thread has ended.
              if (runs.length === 1) void suggestTitle(threadId);
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
