// A tool call: its arguments, its live output and its result.
import { BookOpen, Bot, Brain, ChevronRight, FilePenLine, FilePlus2, FileSearch, FolderSearch, Globe, MessageCircleQuestion, Plug, Search, SquareTerminal, TextSearch } from "lucide";
import type { IconNode } from "lucide";
import { useMemo, useState } from "preact/hooks";
import { useNow } from "../stores/clock";
import { languageOf } from "../view/colours";
import { unified } from "../view/diff";
import { counted, duration, excerpt } from "../view/format";
import { isPending, serverOf, shortDecision } from "../view/input";
import type { ToolStep } from "../view/run";
import { Arguments, Output, text, withoutEnd } from "./arguments";
import { DiffView } from "./diff";
import { Icon } from "./icon";
import { InputCard } from "./input";
import { Pictures } from "./pictures";
import { pure } from "./pure";
import { ResultText } from "./result_text";
import { SubagentRun } from "./subagent";

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
  ask_user: MessageCircleQuestion,
  task: Bot,
};

export const ToolCard = pure(({ step, ended }: { step: ToolStep; ended: boolean }) => <Card step={step} ended={ended} />);

function Card({ step, ended }: { step: ToolStep; ended: boolean }) {
  // By default, the card is open while the tool runs, after a failure, and for edits and images.
  const [chosen, setChosen] = useState<boolean | null>(null);
  const asks = step.inputs.some(isPending) && !ended;
  const working = step.result === null && !ended && !asks;
  const open = asks || (chosen ?? (working || step.result?.isError === true || step.name === "edit" || (step.result?.attachments.length ?? 0) > 0));
  const status = step.result ? exitStatus(step.result.text) : null;
  const last = step.inputs.findLast((input) => input.answer);
  const decision = last?.answer ? shortDecision(last.answer, last.kind) : "";
  const isRefused = last?.answer?.decision === "deny" || last?.answer?.decision === "expired";
  return (
    <div class={`tool${working ? " tool-working" : ""}${asks ? " tool-asks" : ""}${step.result?.isError ? " tool-failed" : ""}`}>
      <button type="button" class="tool-head" aria-expanded={open} disabled={asks} onClick={() => setChosen(!open)}>
        <Icon of={ChevronRight} size={14} />
        <Icon of={SIGNS[step.name] ?? Plug} size={16} />
        <span class="tool-name">{step.name}</span>
        <span class="tool-what">{summary(step)}</span>
        <span class="tool-end numbers">
          {asks && <span class="asks-word">waits for you</span>}
          {working && <Elapsed since={step.startedAt} />}
          {step.result && (
            <>
              {isRefused ? <span class="bad">{decision}</span> : decision && <span>{decision}</span>}
              {isRefused ? null : step.result.isError ? <span class="bad">failed</span> : status !== null && status !== 0 && <span class="bad">exit {status}</span>}
              <span>{duration(step.result.durationMs)}</span>
            </>
          )}
          {!step.result && ended && <span class="bad">interrupted</span>}
        </span>
      </button>
      {open && <Body step={step} working={working} ended={ended} />}
    </div>
  );
}

function Elapsed({ since }: { since: number }) {
  const now = useNow();
  return <span>{duration(Math.max(100, now - since))}</span>;
}

function Body({ step, working, ended }: { step: ToolStep; working: boolean; ended: boolean }) {
  // The card of an input shows the arguments of the call, except for the questions of an MCP server.
  const hasArguments = step.inputs.some((input) => serverOf(input) === null);
  return (
    <div class="tool-body">
      {step.invalidArgs !== null && <Output label="Invalid arguments from the model" text={step.invalidArgs} />}
      {hasArguments ? null : step.subagent ? (
        <p class="prompt-text">{text(step.args["prompt"])}</p>
      ) : (
        <Arguments name={step.name} args={step.args} hasDiff={step.result !== null && !step.result.isError && step.result.text.includes("@@")} />
      )}
      {step.inputs.map((input) => (
        <InputCard key={input.inputId} input={input} ended={ended} args={step.args} />
      ))}
      {step.subagent && <SubagentRun of={step.subagent} />}
      {step.subagent && !step.result?.isError ? null : step.result ? (
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

function Result({ step, text, truncated }: { step: ToolStep; text: string; truncated: boolean }) {
  const at = step.name === "edit" ? text.indexOf("@@") : -1;
  const lines = useMemo(() => (at < 0 ? [] : unified(text.slice(at).trimEnd())), [text, at]);
  if (at >= 0) {
    const path = String(step.args["path"] ?? "");
    return (
      <>
        {text.slice(0, at).trim() !== "" && <p class="small dim">{text.slice(0, at).trim()}</p>}
        <DiffView label={`Changes to ${path || "the file"}`} lines={lines} language={languageOf(path)} />
      </>
    );
  }
  return (
    <>
      {step.result?.isError ? <Output label="Error" text={text} placeholder="No output" /> : <ResultText label="Result" text={text} />}
      {truncated && <p class="small dim">Part of the output was omitted.</p>}
    </>
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
    case "task":
      return [text(args["agent"]), excerpt(text(args["prompt"]), 160)].filter(Boolean).join(": ");
    case "ask_user":
      return excerpt(text(args["question"]), 160);
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
