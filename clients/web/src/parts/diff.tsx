// A line-by-line diff of two texts.
import type { DiffLine } from "../view/diff";

const SIGN: Record<DiffLine["kind"], string> = { same: " ", added: "+", removed: "−", place: "" };
const WORD: Record<DiffLine["kind"], string> = { same: "", added: "added: ", removed: "removed: ", place: "" };

/** Screen readers read "added" or "removed" before each changed line. */
export function DiffView({ label, lines }: { label: string; lines: readonly DiffLine[] }) {
  return (
    <div class="diff" tabIndex={0} role="group" aria-label={label}>
      {lines.map((line, at) => (
        <div key={at} class={`diff-line diff-${line.kind}`}>
          <span class="diff-sign" aria-hidden="true">
            {SIGN[line.kind]}
          </span>
          {WORD[line.kind] && <span class="unseen">{WORD[line.kind]}</span>}
          <span class="diff-text">{line.text}</span>
        </div>
      ))}
    </div>
  );
}
