// The actions on an ended run: copy its answer, start it again, or edit its task first.
import { Pencil, RotateCcw } from "lucide";
import { useState } from "preact/hooks";
import { explainError } from "../errors";
import type { Explained } from "../view/refusal";
import { RefusalNote } from "./basic";
import { CopyButton } from "./copy";
import { Icon } from "./icon";

/** What the transcript does with a task. `retry` resolves when the new run has started. */
export interface TaskActions {
  retry: () => Promise<void>;
  edit: () => void;
}

/** `isPlain` shows the buttons without words. A run that did not complete has no answer to copy. */
export function RunActions({ answer, task, isPlain }: { answer: string; task: TaskActions | null; isPlain: boolean }) {
  const [starting, setStarting] = useState(false);
  const [refused, setRefused] = useState<Explained | null>(null);
  const again = async () => {
    setStarting(true);
    setRefused(null);
    try {
      await task?.retry();
    } catch (error) {
      setRefused(explainError(error));
    } finally {
      setStarting(false);
    }
  };
  const look = isPlain ? "button-icon" : "button button-small";
  return (
    <>
      <div class="run-actions">
        {answer && <CopyButton text={answer} what="the answer" />}
        {task && (
          <>
            <button type="button" class={look} disabled={starting} aria-label="Retry" title="Retry: start this task again" onClick={() => void again()}>
              <Icon of={RotateCcw} size={isPlain ? 15 : 13} />
              {!isPlain && "Retry"}
            </button>
            <button type="button" class={look} aria-label="Edit and resend" title="Edit and resend: copy this task to the form below" onClick={task.edit}>
              <Icon of={Pencil} size={isPlain ? 15 : 13} />
              {!isPlain && "Edit and resend"}
            </button>
          </>
        )}
      </div>
      {refused && <RefusalNote explained={refused} onAgain={() => void again()} onClose={() => setRefused(null)} />}
    </>
  );
}
