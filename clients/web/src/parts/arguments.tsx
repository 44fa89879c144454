// The arguments and the output of a tool call.
import { useEffect, useRef } from "preact/hooks";
import { difference } from "../view/diff";
import { DiffView } from "./diff";

/** The arguments of a tool call: a command, a diff, or JSON. With `hasDiff`, the result shows the changes of an edit. */
export function Arguments({ name, args, hasDiff = false }: { name: string; args: Record<string, unknown>; hasDiff?: boolean }) {
  switch (name) {
    case "bash":
      return text(args["command"]) === "" ? null : <Output label="Command" text={text(args["command"])} command />;
    case "write":
      return <DiffView label={`Content of ${text(args["path"])}`} lines={difference("", withoutEnd(text(args["content"]))).slice(0, 400)} />;
    case "edit":
      return hasDiff ? null : (
        <DiffView
          label={`Changes to ${text(args["path"])}`}
          lines={difference(text(args["old_string"] ?? args["old"]), text(args["new_string"] ?? args["new"]))}
        />
      );
    case "read":
    case "glob":
    case "grep":
      return null;
    default:
      return Object.keys(args).length === 0 ? null : <Output label="Arguments" text={JSON.stringify(args, null, 2)} />;
  }
}

export function Output({
  label,
  text,
  follow = false,
  command = false,
  placeholder = "",
}: {
  label: string;
  text: string;
  follow?: boolean;
  command?: boolean;
  placeholder?: string;
}) {
  const element = useRef<HTMLPreElement>(null);
  useEffect(() => {
    if (follow && element.current) element.current.scrollTop = element.current.scrollHeight;
  }, [text, follow]);
  return (
    <pre ref={element} class={command ? "output output-command" : "output"} tabIndex={0} role="group" aria-label={label}>
      {text === "" ? <span class="dim">{placeholder}</span> : text}
    </pre>
  );
}

export function withoutEnd(content: string): string {
  return content.replace(/\n$/, "");
}

export function text(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined || value === null ? "" : JSON.stringify(value);
}
