// Colours source text: splits it into words with the classes of highlight.js. The first use of this module loads the
// grammars, so screens load it on demand.
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import dockerfile from "highlight.js/lib/languages/dockerfile";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import makefile from "highlight.js/lib/languages/makefile";
import python from "highlight.js/lib/languages/python";
import ruby from "highlight.js/lib/languages/ruby";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { createLowlight } from "lowlight";

const grammars = createLowlight({
  bash,
  c,
  cpp,
  css,
  diff,
  dockerfile,
  go,
  ini,
  java,
  javascript,
  json,
  makefile,
  python,
  ruby,
  rust,
  sql,
  typescript,
  xml,
  yaml,
});
grammars.registerAlias({ ini: ["cfg", "conf"], javascript: ["mjs", "cjs"], json: ["jsonl", "ipynb"], xml: ["svg"] });

export type Coloured = string | { classes: string; parts: Coloured[] };

interface Node {
  type: string;
  value?: string;
  properties?: { className?: unknown };
  children?: Node[];
}

/** Returns null for an unknown language. The language can be a name or the extension of a file. */
export function coloured(text: string, language: string): Coloured[] | null {
  if (!grammars.registered(language)) return null;
  return grammars.highlight(language, text).children.map((node) => partOf(node as Node));
}

function partOf(node: Node): Coloured {
  if (node.type === "text") return node.value ?? "";
  const names = node.properties?.className;
  return { classes: Array.isArray(names) ? names.join(" ") : "", parts: (node.children ?? []).map(partOf) };
}
