// The arguments and the output of a tool call.
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { languageOf } from "../view/colours";
import { difference } from "../view/diff";
import { ColouredText } from "./coloured";
import { DiffView } from "./diff";

/** Maximum number of shown lines of a change. */
const MAX_LINES = 400;

/** The arguments of a tool call: a command, a diff, or JSON. With `hasDiff`, the result shows the changes of an edit. */
export function Arguments({ name, args, hasDiff = false }: { name: string; args: Record<string, unknown>; hasDiff?: boolean }) {
  switch (name) {
    case "bash":
      return text(args["command"]) === "" ? null : <Output label="Command" text={text(args["command"])} language="bash" command />;
    case "write":
      return <Change label="Content of" path={text(args["path"])} before="" after={withoutEnd(text(args["content"]))} />;
    case "edit":
      return hasDiff ? null : (
        <Change label="Changes to" path={text(args["path"])} before={text(args["old_string"] ?? args["old"])} after={text(args["new_string"] ?? args["new"])} />
      );
    case "read":
    case "glob":
    case "grep":
      return null;
    default:
      return Object.keys(args).length === 0 ? null : <Output label="Arguments" text={JSON.stringify(args, null, 2)} language="json" />;
  }
}

/** The lines are computed once per text, because a comparison and its colours take time. */
function Change({ label, path, before, after }: { label: string; path: string; before: string; after: string }) {
  const lines = useMemo(() => difference(before, after).slice(0, MAX_LINES), [before, after]);
  return <DiffView label={`${label} ${path}`} lines={lines} language={languageOf(path)} />;
}

/** `language` gives the text colours. Live output has none, because it changes all the time. */
export function Output({
  label,
  text,
  language = "",
  follow = false,
  command = false,
  placeholder = "",
}: {
  label: string;
  text: string;
  language?: string;
  follow?: boolean;
  command?: boolean;
  placeholder?: string;
}) {
  const element = useRef<HTMLPreElement>(null);
  // Whether the end was visible before the text grew. A user who has scrolled up keeps reading there.
  const wasAtEnd = useRef(true);
  useLayoutEffect(() => {
    if (follow && wasAtEnd.current && element.current) element.current.scrollTop = element.current.scrollHeight;
  }, [text, follow]);
  return (
    <pre ref={element} class={command ? "output output-command" : "output"} tabIndex={0} role="group" aria-label={label} onScroll={(event) => (wasAtEnd.current = isAtEnd(event.currentTarget))}>
      {text === "" ? <span class="dim">{placeholder}</span> : <ColouredText text={text} language={language} />}
    </pre>
  );
}

/** A line below the visible part still counts as the end. */
function isAtEnd({ scrollHeight, scrollTop, clientHeight }: Element): boolean {
  return scrollHeight - scrollTop - clientHeight < 24;
}

export function withoutEnd(content: string): string {
  return content.replace(/\n$/, "");
}

export function text(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined || value === null ? "" : JSON.stringify(value);
}
