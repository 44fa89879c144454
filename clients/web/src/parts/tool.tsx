// A tool call: its arguments, its live output and its result.
import { BookOpen, Brain, ChevronRight, FilePenLine, FilePlus2, FileSearch, FolderSearch, Globe, Plug, Search, SquareTerminal, TextSearch } from "lucide";
import type { IconNode } from "lucide";
import { useEffect, useRef, useState } from "preact/hooks";
import { useNow } from "../stores/clock";
import { difference, unified } from "../view/diff";
import { counted, duration, excerpt } from "../view/format";
import type { ToolStep } from "../view/run";
import { DiffView } from "./diff";
import { Icon } from "./icon";
import { Pictures } from "./pictures";
import { pure } from "./pure";

const SIGNS: Record<string, IconNode> = {
  bash: SquareTerminal,
  bash_output: SquareTerminal,
  bash_kill: SquareTerminal,
  read: FileSearch,
  write: FilePlus2,
  edit: FilePenLine,
  glob: FolderSearch,
  grep: TextSearch,
  skill: BookOpen,
  remember: Brain,
  recall: Brain,
  forget: Brain,
  web_fetch: Globe,
  web_search: Search,
};

export const ToolCard = pure(({ step, ended }: { step: ToolStep; ended: boolean }) => <Card step={step} ended={ended} />);

function Card({ step, ended }: { step: ToolStep; ended: boolean }) {
  // By default, the card is open while the tool runs, after a failure, and for edits and images.
  const [chosen, setChosen] = useState<boolean | null>(null);
  const working = step.result === null && !ended;
  const open = chosen ?? (working || step.result?.isError === true || step.name === "edit" || (step.result?.attachments.length ?? 0) > 0);
  const status = step.result ? exitStatus(step.result.text) : null;
  return (
    <div class={`tool${working ? " tool-working" : ""}${step.result?.isError ? " tool-failed" : ""}`}>
      <button type="button" class="tool-head" aria-expanded={open} onClick={() => setChosen(!open)}>
        <Icon of={ChevronRight} size={14} />
        <Icon of={SIGNS[step.name] ?? Plug} size={16} />
        <span class="tool-name">{step.name}</span>
        <span class="tool-what">{summary(step)}</span>
        <span class="tool-end numbers">
          {working && <Elapsed since={step.startedAt} />}
          {step.result && (
            <>
              {step.result.isError ? <span class="bad">failed</span> : status !== null && status !== 0 && <span class="bad">exit {status}</span>}
              <span>{duration(step.result.durationMs)}</span>
            </>
          )}
          {!step.result && ended && <span class="bad">interrupted</span>}
        </span>
      </button>
      {open && <Body step={step} working={working} />}
    </div>
  );
}

function Elapsed({ since }: { since: number }) {
  const now = useNow();
  return <span>{duration(Math.max(100, now - since))}</span>;
}

function Body({ step, working }: { step: ToolStep; working: boolean }) {
  return (
    <div class="tool-body">
      {step.invalidArgs !== null && <Output label="Invalid arguments from the model" text={step.invalidArgs} />}
      <Arguments step={step} />
      {step.result ? (
        <>
          <Result step={step} text={step.result.text} truncated={step.result.truncated} />
          <Pictures of={step.result.attachments} label="Images of the result" />
        </>
      ) : (
        (step.output !== "" || working) && (
          <Output
            label={working ? "Live output" : "Output"}
            text={(step.outputCut ? "[… earlier output omitted]\n" : "") + step.output}
            follow={working}
            placeholder={working ? "No output yet" : ""}
          />
        )
      )}
    </div>
  );
}

function Arguments({ step }: { step: ToolStep }) {
  const args = step.args;
  switch (step.name) {
    case "bash":
      return text(args["command"]) === "" ? null : <Output label="Command" text={text(args["command"])} command />;
    case "write":
      return <DiffView label={`Content of ${text(args["path"])}`} lines={difference("", withoutEnd(text(args["content"]))).slice(0, 400)} />;
    case "edit":
      return step.result && !step.result.isError && step.result.text.includes("@@") ? null : (
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

function Result({ step, text, truncated }: { step: ToolStep; text: string; truncated: boolean }) {
  if (step.name === "edit" && text.includes("@@")) {
    const at = text.indexOf("@@");
    return (
      <>
        {text.slice(0, at).trim() !== "" && <p class="small dim">{text.slice(0, at).trim()}</p>}
        <DiffView label={`Changes to ${String(step.args["path"] ?? "the file")}`} lines={unified(text.slice(at).trimEnd())} />
      </>
    );
  }
  return (
    <>
      <Output label={step.result?.isError ? "Error" : "Result"} text={text} placeholder="No output" />
      {truncated && <p class="small dim">Part of the output was omitted.</p>}
    </>
  );
}

function Output({
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

function summary(step: ToolStep): string {
  const args = step.args;
  switch (step.name) {
    case "bash":
      return (args["background"] === true ? "in the background: " : "") + excerpt(firstCommand(text(args["command"])), 160);
    case "bash_output":
    case "bash_kill":
      return text(args["id"]);
    case "write":
      return `${text(args["path"])} · ${counted(withoutEnd(text(args["content"])).split("\n").length, "line")}`;
    case "grep":
    case "glob":
      return [text(args["pattern"]), text(args["path"])].filter(Boolean).join(" in ");
    case "skill":
      return [text(args["name"]), text(args["file"])].filter(Boolean).join(" · ");
    case "read":
    case "edit":
      return text(args["path"]);
    case "remember":
      return excerpt(text(args["text"]), 160);
    case "recall":
    case "web_search":
      return excerpt(text(args["query"]), 160);
    case "web_fetch":
      return excerpt(text(args["url"]), 160);
    default:
      return excerpt(Object.entries(args).map(([name, value]) => `${name}: ${text(value)}`).join(", "), 160);
  }
}

// Returns the first line that is neither blank nor a comment.
function firstCommand(command: string): string {
  const lines = command.split("\n").filter((line) => line.trim() !== "");
  return (lines.find((line) => !line.trimStart().startsWith("#")) ?? lines[0] ?? "").trim();
}

function exitStatus(result: string): number | null {
  const found = /\[exit status (\d+)\]\s*$/.exec(result);
  return found ? Number(found[1]) : null;
}

function withoutEnd(content: string): string {
  return content.replace(/\n$/, "");
}

function text(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined || value === null ? "" : JSON.stringify(value);
}
