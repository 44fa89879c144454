// The composer: the form that starts a run in a new or existing thread.
import { ArrowUp, FileText, Paperclip, X } from "lucide";
import { useComputed, useSignal } from "@preact/signals";
import { isRunyardError, newId } from "@runyard/client";
import { useEffect, useId, useMemo, useRef } from "preact/hooks";
import { runyard } from "../client";
import { parameters } from "../router";
import { account, isUnlimited, loadAccount } from "../stores/account";
import { agents, loadAgents } from "../stores/agents";
import { enterStarts } from "../stores/enter";
import { type WhenBusy, chooseWhenBusy, steer, whenBusy } from "../stores/steer";
import { Attachments, type Attachment } from "../stores/attachments";
import { budgetOf, keepBudget } from "../stores/budgets";
import { noteStarted } from "../stores/titles";
import { explainError } from "../errors";
import { type BudgetFaults, NO_BUDGET, budgetFaults, readBudget } from "../view/budget";
import { bytes } from "../view/format";
import type { Explained } from "../view/refusal";
import { Note, RefusalNote } from "./basic";
import { AgentChoice, ModeChoice, ModelChoice } from "./choices";
import { Icon } from "./icon";
import { isTouch } from "./keys";
import { RunOptions } from "./run_options";

export interface Started {
  threadId: string;
  agentRunId: string;
}

/** A task to copy into the form. A new value of `turn` copies the task again. */
export interface Suggestion {
  prompt: string;
  files: File[];
  turn: number;
  agentId?: string;
  model?: string;
  mode?: string;
}

export interface ComposerProperties {
  /** The thread to continue. By default, the composer starts a new thread. */
  threadId?: string;
  /** The agent of the thread's last run; empty for the built-in agent. */
  lastAgentId?: string;
  busy?: boolean;
  onStarted: (started: Started) => void;
  /** Called when a message was sent to the running agent. */
  onSteered?: () => void;
  suggestion?: Suggestion | null;
  large?: boolean;
}

export function Composer({ threadId, lastAgentId = "", busy = false, onStarted, onSteered, suggestion, large = false }: ComposerProperties) {
  const prompt = useSignal("");
  // Until the user chooses an agent, it is the agent of the thread's last run. A link can select the agent of a new
  // thread: `#/?agent=UUID`.
  const chosenAgentId = useSignal<string | null>(null);
  const agentId = existing(chosenAgentId.value ?? (threadId ? lastAgentId : (parameters().get("agent") ?? "")));
  const model = useSignal("");
  const mode = useSignal("code");
  const steers = threadId !== undefined && busy && whenBusy.value === "now";
  const starting = useSignal(false);
  const over = useSignal(false);
  const isOpen = useSignal(false);
  const budget = useSignal(threadId ? budgetOf(threadId) : NO_BUDGET);
  const faults = useSignal<BudgetFaults>({});
  const refused = useSignal<Explained | null>(null);
  const attachments = useMemo(() => new Attachments(), []);
  const input = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const help = useId();
  // The idempotency key of the current request. A retry after a lost response reuses the key and so starts no second
  // run.
  const key = useRef<{ of: string; key: string } | null>(null);
  const chosen = [agentId, model.value, mode.value === "code" ? "" : mode.value].filter(Boolean).length;
  const full = useComputed(() => {
    const runs = account.value?.concurrentRuns;
    return runs?.limit !== undefined && runs.used >= runs.limit;
  });

  useEffect(() => {
    void loadAccount();
    void loadAgents();
    return () => attachments.clear();
  }, []);
  useEffect(() => {
    if (!suggestion) return;
    prompt.value = suggestion.prompt;
    if (suggestion.agentId !== undefined) chosenAgentId.value = suggestion.agentId;
    if (suggestion.model !== undefined) model.value = suggestion.model;
    if (suggestion.mode !== undefined) mode.value = suggestion.mode;
    attachments.clear();
    attachments.add(suggestion.files);
    input.current?.focus();
  }, [suggestion?.turn]);
  useEffect(() => {
    const element = input.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${Math.min(element.scrollHeight + 2, innerHeight * 0.4)}px`;
  }, [prompt.value]);

  const start = async () => {
    const text = prompt.value.trim();
    if (starting.value || (text === "" && attachments.list.value.length === 0)) {
      input.current?.focus();
      return;
    }
    if (steers && attachments.list.value.length > 0) {
      attachments.problem.value = "A running agent cannot receive files. Send them after this run.";
      return;
    }
    const limits = readBudget(budget.value);
    if ("faults" in limits) {
      showFaults(limits.faults);
      return;
    }
    starting.value = true;
    refused.value = null;
    faults.value = {};
    try {
      if (steers && (await steer(threadId, text))) {
        prompt.value = "";
        onSteered?.();
        return;
      }
      const files = await attachments.ready();
      if (!files) {
        attachments.problem.value = "A file could not be uploaded. Remove it, then add it again or start without it.";
        return;
      }
      const request = {
        // If the run ended before it could receive the message, the new run reads the message from the thread.
        ...(steers ? {} : { prompt: text || "Look at the files." }),
        files: files.map((uploadId) => ({ uploadId })),
        mode: mode.value,
        ...(threadId ? { threadId, ifBusy: whenBusy.value === "interrupt" ? ("interrupt" as const) : ("enqueue" as const) } : {}),
        ...(agentId ? { agentId } : {}),
        ...(model.value ? { modelName: model.value } : {}),
        ...limits.budget,
      };
      const of = JSON.stringify(request);
      if (key.current?.of !== of) key.current = { of, key: newId() };
      const started = await runyard().agents.run({ ...request, idempotencyKey: key.current.key });
      key.current = null;
      if (!threadId) noteStarted(started.threadId);
      if (whenBusy.peek() === "interrupt") chooseWhenBusy("after");
      keepBudget(started.threadId, budget.value);
      prompt.value = "";
      attachments.clear();
      void loadAccount();
      onStarted(started);
    } catch (error) {
      const wrong = isRunyardError(error) ? budgetFaults(error.details) : null;
      if (wrong) showFaults(wrong);
      else refused.value = explainError(error);
    } finally {
      starting.value = false;
    }
  };
  const showFaults = (wrong: BudgetFaults) => {
    faults.value = wrong;
    isOpen.value = true;
  };

  const onPaste = (event: ClipboardEvent) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    attachments.add(files);
  };

  return (
    <form
      class={`composer${large ? " composer-large" : ""}${over.value ? " composer-over" : ""}`}
      aria-label={threadId ? "Continue this thread" : "New run"}
      onSubmit={(event) => {
        event.preventDefault();
        void start();
      }}
      onDragOver={(event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        over.value = true;
      }}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) over.value = false;
      }}
      onDrop={(event) => {
        event.preventDefault();
        over.value = false;
        attachments.add(event.dataTransfer?.files ?? []);
      }}
    >
      {refused.value && (
        <RefusalNote explained={refused.value} onAgain={() => void start()} onClose={() => (refused.value = null)} />
      )}
      {!refused.value && account.value && account.value.credits <= 0 && !isUnlimited(account.value) && (
        <Note kind="warning">
          You have no credits left, so you cannot start a run. <a href="#/account">View account</a>
        </Note>
      )}
      {!refused.value && full.value && !busy && <SlotsNote />}
      <div class="composer-box">
        <textarea
          ref={input}
          class="composer-input"
          aria-label="Task"
          aria-describedby={help}
          data-composer="true"
          rows={large ? 3 : 1}
          placeholder={steers ? "Tell the agent what to change." : threadId ? "Describe the next task or a change." : `Describe the task.${isTouch ? "" : " Drop files here."}`}
          value={prompt.value}
          onInput={(event) => (prompt.value = event.currentTarget.value)}
          onPaste={onPaste}
          onKeyDown={(event) => {
            // Enter can also end the input of a composed character.
            if (event.key !== "Enter" || event.isComposing) return;
            // The keyboard of a touch device has no Shift+Enter, so there Enter adds a line.
            const starts = event.ctrlKey || event.metaKey || (!isTouch && event.shiftKey !== enterStarts.value);
            if (!starts) return;
            event.preventDefault();
            void start();
          }}
        />
        <AttachmentList attachments={attachments} />
        <div class="composer-foot">
          <input
            ref={picker}
            type="file"
            multiple
            class="unseen"
            aria-label="Choose files"
            tabIndex={-1}
            onChange={(event) => {
              attachments.add(event.currentTarget.files ?? []);
              event.currentTarget.value = "";
            }}
          />
          <button type="button" class="button button-quiet composer-attach" onClick={() => picker.current?.click()}>
            <Icon of={Paperclip} size={16} />
            <span>Add files</span>
          </button>
          <RunOptions
            isOpen={isOpen.value}
            chosen={chosen}
            budget={budget.value}
            faults={faults.value}
            onOpen={(open) => (isOpen.value = open)}
            onBudget={(next) => {
              budget.value = next;
              faults.value = {};
            }}
            onDone={() => input.current?.focus()}
          >
            <AgentChoice value={agentId} onChange={(value) => (chosenAgentId.value = value)} />
            <ModelChoice value={model.value} onChange={(value) => (model.value = value)} />
            <ModeChoice value={mode.value} onChange={(value) => (mode.value = value)} />
          </RunOptions>
          <button type="submit" class="button button-primary composer-start" disabled={starting.value}>
            {threadId && busy ? (starting.value ? "Sending" : "Send") : starting.value ? "Starting" : "Start"}
            <Icon of={ArrowUp} size={16} />
          </button>
        </div>
      </div>
      <div class="composer-below small">
        <p id={help} class="composer-help">
          <Keys starts={enterStarts.value} /> starts the run · <Keys starts={!enterStarts.value} /> adds a line
          {!threadId && (
            <>
              {" "}
              · <kbd>/</kbd> focuses this field
            </>
          )}
          {!busy && ` · files up to ${bytes(account.value?.maxUploadBytes ?? 10_000_000)} each`}
        </p>
        {threadId && busy && <BusyChoice />}
      </div>
    </form>
  );
}

/** Returns the agent's id, or an empty id if the agent was deleted. Until the agents are loaded, every id counts. */
function existing(agentId: string): string {
  return agents.value?.some((agent) => agent.agentId === agentId) === false ? "" : agentId;
}

const CHOICES: { value: WhenBusy; label: string; about: string }[] = [
  { value: "now", label: "Send now", about: "The running agent reads the message at its next step" },
  { value: "after", label: "After this run", about: "A new run starts when the active run has ended" },
  { value: "interrupt", label: "Interrupt", about: "The active run is stopped, and a new run starts" },
];

/** What happens to the message while a run is active. */
function BusyChoice() {
  return (
    <div class="switch composer-busy" role="group" aria-label="While a run is active">
      {CHOICES.map(({ value, label, about }) => (
        <button key={value} type="button" aria-pressed={whenBusy.value === value} title={about} onClick={() => chooseWhenBusy(value)}>
          {label}
        </button>
      ))}
    </div>
  );
}

function Keys({ starts }: { starts: boolean }) {
  return (
    <>
      {!starts && (
        <>
          <kbd>Shift</kbd>{" "}
        </>
      )}
      <kbd>Enter</kbd>
    </>
  );
}

function SlotsNote() {
  const runs = account.value?.concurrentRuns;
  return (
    <Note kind="warning">
      You have reached the limit of the {account.value?.tierName} plan: {runs?.limit === 1 ? "one run" : `${runs?.limit} runs`} at a time.
      Wait for a run to end, or stop one. <a href="#/runs">View runs</a>
    </Note>
  );
}

function AttachmentList({ attachments }: { attachments: Attachments }) {
  return (
    <>
      {attachments.problem.value && <Note kind="error">{attachments.problem.value}</Note>}
      {attachments.list.value.length > 0 && (
        <ul class="attachments" aria-label="Files for this task">
          {attachments.list.value.map((attachment) => (
            <AttachmentChip key={attachment.key} attachment={attachment} onRemove={() => attachments.remove(attachment.key)} />
          ))}
        </ul>
      )}
    </>
  );
}

function AttachmentChip({ attachment, onRemove }: { attachment: Attachment; onRemove: () => void }) {
  const { file, sent, uploadId, problem } = attachment;
  const percent = file.size === 0 ? 100 : Math.round((sent / file.size) * 100);
  return (
    <li class={`attachment${problem ? " attachment-bad" : ""}`}>
      <Icon of={FileText} size={16} />
      <span class="attachment-name">{file.name}</span>
      <span class="small dim">{problem ?? bytes(file.size)}</span>
      {!uploadId && !problem && <progress max={100} value={percent} aria-label={`${file.name}: ${percent} % uploaded`} />}
      <button type="button" class="button-icon" aria-label={`Remove ${file.name}`} onClick={onRemove}>
        <Icon of={X} size={14} />
      </button>
    </li>
  );
}
