// Source text with colours. The text is shown without colours until the grammars are loaded, and while it grows.
import type { ComponentChild } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Coloured } from "../view/grammar";

/** Maximum length of a text with colours, in characters. */
const MAX_LENGTH = 60_000;
/** Milliseconds without a change after which a text is coloured. */
const QUIET_MS = 200;

export function ColouredText({ text, language }: { text: string; language: string }) {
  const parts = useColours(text, language);
  return <>{parts ? <Parts of={parts} /> : text}</>;
}

/** The parts of a text with their colours; null as long as the text has none. */
export function useColours(text: string, language: string): readonly Coloured[] | null {
  const [shown, setShown] = useState<{ of: string; parts: Coloured[] } | null>(null);
  useEffect(() => {
    if (text === "" || language === "" || text.length > MAX_LENGTH) return;
    let isCurrent = true;
    const timer = setTimeout(async () => {
      // Without the grammars, the text stays as it is.
      const grammar = await import("../view/grammar").catch(() => null);
      const parts = isCurrent ? (grammar?.coloured(text, language) ?? null) : null;
      if (parts) setShown({ of: text, parts });
    }, QUIET_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [text, language]);
  return shown?.of === text ? shown.parts : null;
}

export function Parts({ of }: { of: readonly Coloured[] }) {
  return <>{of.map(draw)}</>;
}

function draw(part: Coloured, at: number): ComponentChild {
  if (typeof part === "string") return part;
  return (
    <span key={at} class={part.classes}>
      {part.parts.map(draw)}
    </span>
  );
}
