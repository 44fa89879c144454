// Coloured source text: its lines, and the language of a file.
import type { Coloured } from "./grammar";

/** The language is the extension, or the whole name of a file without one. */
export function languageOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return name.slice(name.lastIndexOf(".") + 1).toLowerCase();
}

/** Splits a coloured text at its line ends. A part that spans several lines keeps its colours in each of them. */
export function linesOf(parts: readonly Coloured[]): Coloured[][] {
  const lines: Coloured[][] = [[]];
  for (const part of parts) {
    partsByLine(part).forEach((own, at) => {
      if (at > 0) lines.push([]);
      lines.at(-1)!.push(...own);
    });
  }
  return lines;
}

function partsByLine(part: Coloured): Coloured[][] {
  if (typeof part === "string") return part.split("\n").map((text) => (text === "" ? [] : [text]));
  return linesOf(part.parts).map((parts) => (parts.length === 0 ? [] : [{ ...part, parts }]));
}
