// A line-by-line diff of two texts.
import { useMemo } from "preact/hooks";
import { linesOf } from "../view/colours";
import type { DiffLine } from "../view/diff";
import { Parts, useColours } from "./coloured";

const SIGN: Record<DiffLine["kind"], string> = { same: " ", added: "+", removed: "−", place: "" };
const WORD: Record<DiffLine["kind"], string> = { same: "", added: "added: ", removed: "removed: ", place: "" };

/** Screen readers read "added" or "removed" before each changed line. */
export function DiffView({ label, lines, language = "" }: { label: string; lines: readonly DiffLine[]; language?: string }) {
  const before = useColouredLines(lines, "removed", language);
  const after = useColouredLines(lines, "added", language);
  return (
    <div class="diff" tabIndex={0} role="group" aria-label={label}>
      {lines.map((line, at) => {
        const parts = line.kind === "removed" ? before?.get(at) : after?.get(at);
        return (
          <div key={at} class={`diff-line diff-${line.kind}`}>
            <span class="diff-sign" aria-hidden="true">
              {SIGN[line.kind]}
            </span>
            {WORD[line.kind] && <span class="unseen">{WORD[line.kind]}</span>}
            <span class="diff-text">{parts ? <Parts of={parts} /> : line.text}</span>
          </div>
        );
      })}
    </div>
  );
}

/** The colours of the text before or after the change, by the position of each line in the diff. */
function useColouredLines(lines: readonly DiffLine[], changed: "added" | "removed", language: string) {
  const side = useMemo(() => {
    // Without a changed line, only the colours of the other side are used.
    if (language === "" || !lines.some((line) => line.kind === changed)) return { text: "", places: [] };
    const places = lines.flatMap((line, at) => (line.kind === "same" || line.kind === changed ? [at] : []));
    return { text: places.map((at) => lines[at]!.text).join("\n"), places };
  }, [lines, changed, language]);
  const parts = useColours(side.text, language);
  return useMemo(() => {
    if (!parts) return null;
    const coloured = linesOf(parts);
    return new Map(side.places.map((place, at) => [place, coloured[at] ?? []]));
  }, [parts, side]);
}
