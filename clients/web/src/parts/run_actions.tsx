// The actions on a turn of a thread: copy its answer, start its task again, edit its task first, or branch the thread.
import { GitBranch, Pencil, RotateCcw } from "lucide";
import type { IconNode } from "lucide";
import { useState } from "preact/hooks";
import { explainError } from "../errors";
import type { Explained } from "../view/refusal";
import { RefusalNote } from "./basic";
import { CopyButton } from "./copy";
import { Icon } from "./icon";

/** The actions of the screen on a turn. An action that is null has no button. */
export interface TurnActions {
  /** Resolves when the new run has started. */
  retry: (() => Promise<void>) | null;
  edit: (() => void | Promise<void>) | null;
  /** Resolves when the new thread is complete. */
  branch: (() => Promise<void>) | null;
}

interface Attempt {
  isBusy: boolean;
  refused: Explained | null;
  attempt: (action: () => void | Promise<void>) => void;
  close: () => void;
}

function useAttempt(): Attempt {
  const [isBusy, setBusy] = useState(false);
  const [refused, setRefused] = useState<Explained | null>(null);
  const attempt = async (action: () => void | Promise<void>) => {
    setBusy(true);
    setRefused(null);
    try {
      await action();
    } catch (error) {
      setRefused(explainError(error));
    } finally {
      setBusy(false);
    }
  };
  return { isBusy, refused, attempt: (action) => void attempt(action), close: () => setRefused(null) };
}

/** `isPlain` shows the buttons without words. A run that did not complete has no answer to copy. */
export function RunActions({ answer, actions, isPlain }: { answer: string; actions: TurnActions; isPlain: boolean }) {
  const { isBusy, refused, attempt, close } = useAttempt();
  const { retry, edit, branch } = actions;
  const button = (action: (() => void | Promise<void>) | null, icon: IconNode, label: string, about: string) =>
    action && (
      <button type="button" class={isPlain ? "button-icon" : "button button-small"} disabled={isBusy} aria-label={label} title={`${label}: ${about}`} onClick={() => attempt(action)}>
        <Icon of={icon} size={isPlain ? 15 : 13} />
        {!isPlain && label}
      </button>
    );
  return (
    <>
      <div class="run-actions">
        {answer && <CopyButton text={answer} what="the answer" />}
        {button(retry, RotateCcw, "Retry", "start this task again")}
        {button(edit, Pencil, "Edit and resend", "copy this task to the form below")}
        {button(branch, GitBranch, "Branch", "start a new thread with the messages up to here")}
      </div>
      {refused && <RefusalNote explained={{ ...refused, again: false }} onClose={close} />}
    </>
  );
}

/** The button of a task that starts a new thread with the messages before the task, and with the task to edit. */
export function BranchBefore({ onBranch }: { onBranch: () => Promise<void> }) {
  const { isBusy, refused, attempt, close } = useAttempt();
  return (
    <>
      <button type="button" class="button-icon" disabled={isBusy} aria-label="Branch before this task" title="Branch before this task: edit it in a new thread with the messages before it" onClick={() => attempt(onBranch)}>
        <Icon of={GitBranch} size={15} />
      </button>
      {refused && <RefusalNote explained={{ ...refused, again: false }} onClose={close} />}
    </>
  );
}
