// The line between the transcript and the files, which the user drags to make the files wider or narrower.
import { useRef } from "preact/hooks";
import { signal } from "@preact/signals";
import { readStored, writeStored } from "../stores/stored";

const KEY = "runyard.files-width";
/** Smallest and largest share of the width, in percent. */
const MIN = 20;
const MAX = 80;
const STEP = 4;

/** The share of the files in percent; null for the default, which depends on an open preview. */
export const filesWidth = signal<number | null>(stored());

/** Whether a preview hides the transcript. */
export const isFullWidth = signal(false);

function stored(): number | null {
  const value = readStored(KEY);
  return typeof value === "number" && value >= MIN && value <= MAX ? value : null;
}

function choose(share: number | null): void {
  filesWidth.value = share === null ? null : Math.round(Math.min(MAX, Math.max(MIN, share)) * 10) / 10;
  writeStored(KEY, filesWidth.value);
}

export function Splitter() {
  const line = useRef<HTMLDivElement>(null);
  const shareAt = (x: number) => {
    const around = line.current!.parentElement!.getBoundingClientRect();
    return ((around.right - x) / around.width) * 100;
  };
  const now = () => filesWidth.peek() ?? shareAt(line.current!.getBoundingClientRect().left);
  return (
    <div
      ref={line}
      class="splitter"
      role="separator"
      tabIndex={0}
      aria-orientation="vertical"
      aria-label="Width of the files"
      aria-valuemin={MIN}
      aria-valuemax={MAX}
      aria-valuenow={Math.round(filesWidth.value ?? 32)}
      title="Drag to resize; double-click to reset"
      onPointerDown={(event) => {
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => {
        if (event.currentTarget.hasPointerCapture(event.pointerId)) choose(shareAt(event.clientX));
      }}
      onDblClick={() => choose(null)}
      onKeyDown={(event) => {
        if (event.key === "ArrowLeft") choose(now() + STEP);
        else if (event.key === "ArrowRight") choose(now() - STEP);
        else if (event.key === "Home") choose(null);
        else return;
        event.preventDefault();
      }}
    />
  );
}
