// A run: its steps, its state and its usage.
import { Brain, ChevronRight, Info, Square } from "lucide";
import type { ThreadMessage } from "@runyard/client";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { runyard } from "../client";
import { announce } from "../stores/announce";
import { useNow } from "../stores/clock";
import { explainError } from "../errors";
import { count, credits, duration, short } from "../view/format";
import type { Explained } from "../view/refusal";
import { isPending } from "../view/input";
import { explainFailure } from "../view/refusal";
import { type NoticeStep, type ReasoningStep, type RunView, type Step, type TextStep, hasEnded, whyStopped } from "../view/run";
import { RefusalNote, State } from "./basic";
import { CopyButton } from "./copy";
import { Icon } from "./icon";
import { Markdown } from "./markdown";
import { pure } from "./pure";
import { ResultText } from "./result_text";
import { ToolCard } from "./tool";

export function RunTrack({ view }: { view: RunView }) {
  const ended = hasEnded(view);
  // `FinalOutput` shows the same answer, so the track omits it.
  const steps = view.output !== null && isJson(view.steps.at(-1)) ? view.steps.slice(0, -1) : view.steps;
  return (
    <ol class="track" aria-label="Steps of the run">
      {steps.map((step, at) => (
        <Stop key={`${step.kind}-${step.id}`} step={step} ended={ended} stopped={view.state === "stopped" && at === view.steps.length - 1} live={!ended && at === view.steps.length - 1} />
      ))}
      {!ended && view.steps.length === 0 && (
        <li class="stop stop-live">
          <span class="dim">{view.last === 0 ? "Connecting" : "Waiting in the queue"}</span>
        </li>
      )}
    </ol>
  );
}

const Stop = pure(({ step, ended, stopped, live }: { step: Step; ended: boolean; stopped: boolean; live: boolean }) => (
  <li class={`stop stop-${step.kind}${step.kind === "tool" && !ended && step.inputs.some(isPending) ? " stop-asks" : live ? " stop-live" : ""}`}>
    {step.kind === "tool" ? (
      <ToolCard step={step} ended={ended} />
    ) : step.kind === "text" ? (
      <ModelText step={step} live={live && !step.finished} ended={ended} stopped={stopped} />
    ) : step.kind === "reasoning" ? (
      <Reasoning step={step} live={live} />
    ) : step.kind === "message" ? (
      <Said text={step.text} state="read by the agent" />
    ) : (
      <Notice step={step} />
    )}
  </li>
));

function ModelText({ step, live, ended, stopped }: { step: TextStep; live: boolean; ended: boolean; stopped: boolean }) {
  const text = usePaced(step.text, step.finished || ended);
  return (
    <div class={live ? "model-text model-text-live" : "model-text"}>
      <Markdown text={text} />
      {step.partial && <p class={stopped ? "small dim" : "small bad"}>{stopped ? "The run was stopped here." : "The answer was cut off here."}</p>}
    </div>
  );
}

// Returns the text to render. Rendering a long text can block the page. After a rendering of 4 ms or longer, the next
// rendering waits five times this duration, up to one second.
function usePaced(text: string, final: boolean): string {
  const [shown, setShown] = useState(text);
  const pace = useRef({ latest: text, timer: 0 as ReturnType<typeof setTimeout> | 0, began: 0, took: 0 });
  const state = pace.current;
  state.latest = text;
  useEffect(() => {
    if (state.began > 0) {
      state.took = performance.now() - state.began;
      state.began = 0;
    }
  });
  useEffect(() => {
    if (final || text === shown || state.timer !== 0) return;
    const show = () => {
      state.timer = 0;
      state.began = performance.now();
      setShown(state.latest);
    };
    if (state.took < 4) show();
    else state.timer = setTimeout(show, Math.min(1000, state.took * 5));
  }, [text, shown, final]);
  useEffect(
    () => () => {
      if (state.timer !== 0) clearTimeout(state.timer);
      state.timer = 0;
    },
    [],
  );
  return final ? text : shown;
}

function Reasoning({ step, live }: { step: ReasoningStep; live: boolean }) {
  const [chosen, setChosen] = useState<boolean | null>(null);
  const open = chosen ?? live;
  return (
    <div class="reasoned">
      <button type="button" class="reasoned-head" aria-expanded={open} onClick={() => setChosen(!open)}>
        <Icon of={ChevronRight} size={14} />
        <Icon of={Brain} size={16} />
        Reasoning
      </button>
      {open && <p class="reasoned-text">{step.text}</p>}
    </div>
  );
}

/** A message to the running agent. */
function Said({ text, state }: { text: string; state: string }) {
  return (
    <div class="prompt said">
      <div class="prompt-head small">
        <span>You</span>
        <span class="dim said-state">{state}</span>
      </div>
      <p class="prompt-text">{text}</p>
    </div>
  );
}

/** The messages that the model of a run has not read. */
export function Unread({ view, added }: { view: RunView; added: readonly ThreadMessage[] }) {
  const read = new Set(view.steps.filter((step) => step.kind === "message").map((step) => step.id));
  const unread = added.filter((message) => !read.has(message.messageId));
  if (unread.length === 0) return null;
  return (
    <ul class="unread" aria-label="Messages that the agent has not read">
      {unread.map((message) => (
        <li key={message.messageId}>
          <Said text={message.content} state={hasEnded(view) ? "not read; the next run reads it" : "waits for the next step"} />
        </li>
      ))}
    </ul>
  );
}

function Notice({ step }: { step: NoticeStep }) {
  return (
    <p class="noticed">
      <Icon of={step.notice === "memories_used" ? Brain : Info} size={15} />
      <span>{step.message}</span>
    </p>
  );
}

/** `children` are more actions. */
export function RunBar({ view, stopping, children }: { view: RunView; stopping?: boolean; children?: ComponentChildren }) {
  const [stopRequested, setStopRequested] = useState(stopping ?? false);
  const [refused, setRefused] = useState<Explained | null>(null);
  const ended = hasEnded(view);
  const stop = async () => {
    setStopRequested(true);
    setRefused(null);
    announce("Stopping the run");
    try {
      await runyard().runs.stop(view.runId);
    } catch (error) {
      setStopRequested(false);
      setRefused(explainError(error));
    }
  };
  return (
    <>
      <div class="run-bar">
        <State of={view.state} />
        <Used view={view} />
        {!ended && (
          <button type="button" class="button button-small button-stop" disabled={stopRequested} onClick={stop}>
            <Icon of={Square} size={13} />
            {stopRequested ? "Stopping" : "Stop"}
          </button>
        )}
        {children}
      </div>
      {refused && <RefusalNote explained={refused} onClose={() => setRefused(null)} />}
    </>
  );
}

/** Name of the built-in demo model. */
const DEMO = "runyard/demo";

/** The time, the tokens, the cost and the model that answered. */
export function Used({ view }: { view: RunView }) {
  const { usage } = view;
  return (
    <dl class="used numbers">
      {view.startedAt !== null && view.startedAt !== view.endedAt && (
        <div>
          <dt class="unseen">Time</dt>
          <dd>{view.endedAt === null ? <Ticking since={view.startedAt} /> : duration(view.endedAt - view.startedAt)}</dd>
        </div>
      )}
      {usage.calls > 0 && (
        <>
          <div title={`${count(usage.inputTokens)} input tokens, ${count(usage.outputTokens)} output tokens, ${usage.calls} model ${usage.calls === 1 ? "call" : "calls"}`}>
            <dt class="unseen">Input and output tokens</dt>
            <dd>
              {usage.estimated && "≈ "}
              {short(usage.inputTokens)} tokens in · {short(usage.outputTokens)} out
            </dd>
          </div>
          <div>
            <dt class="unseen">Credits</dt>
            <dd>{credits(usage.credits)} credits</dd>
          </div>
          {usage.modelName && (
            <div class="used-model">
              <dt class="unseen">Model</dt>
              {view.isDemo && usage.modelName !== DEMO ? (
                <dd title={`No provider is configured for ${usage.modelName}, so the built-in demo model answered`}>
                  {DEMO} <span class="used-instead">for {usage.modelName}</span>
                </dd>
              ) : (
                <dd>{usage.modelName}</dd>
              )}
            </div>
          )}
        </>
      )}
    </dl>
  );
}

function Ticking({ since }: { since: number }) {
  const now = useNow();
  return <>{duration(Math.max(100, now - since))}</>;
}

function isJson(step: Step | undefined): boolean {
  if (step?.kind !== "text") return false;
  try {
    JSON.parse(step.text);
    return true;
  } catch {
    return false;
  }
}

/** The final answer of a run with an output, as JSON. */
export function FinalOutput({ view }: { view: RunView }) {
  if (view.output === null) return null;
  return (
    <section class="final-output" aria-label="Output of the run">
      <div class="final-output-head small">
        <span>Output</span>
        <CopyButton text={view.output} what="output" />
      </div>
      <ResultText label="Output as JSON" text={view.output} />
    </section>
  );
}

/** The error of a failed run, or the final message of another ended run. */
export function Failure({ view }: { view: RunView }) {
  if (view.state === "failed") {
    return (
      <div class="note note-error failure">
        <div class="note-text">
          <strong>{explainFailure(view.errorCode, view.message)}</strong>
          {view.errorCode && (
            <p class="small">
              <code>{view.errorCode}</code>
              {view.message && ` ${view.message}`}
            </p>
          )}
        </div>
      </div>
    );
  }
  const reason = view.message ?? whyStopped(view);
  return hasEnded(view) && reason ? <p class="small dim">{reason}</p> : null;
}
