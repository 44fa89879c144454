// The composer: the form that starts a run in a new or existing thread.
import { ArrowUp, FileText, Paperclip, SlidersHorizontal, X } from "lucide";
import { useComputed, useSignal } from "@preact/signals";
import { newId } from "@runyard/client";
import { useEffect, useId, useMemo, useRef } from "preact/hooks";
import { runyard } from "../client";
import { parameters } from "../router";
import { account, isUnlimited, loadAccount } from "../stores/account";
import { agents, loadAgents } from "../stores/agents";
import { loadModes, modes } from "../stores/modes";
import { Attachments, type Attachment } from "../stores/attachments";
import { explainError } from "../errors";
import { bytes } from "../view/format";
import type { Explained } from "../view/refusal";
import { Note, RefusalNote } from "./basic";
import { Icon } from "./icon";
import { isApple } from "./keys";

/** Touch devices have no drag and drop and no keyboard shortcuts. */
const isTouch = typeof matchMedia === "function" && matchMedia("(pointer: coarse)").matches;

export interface Started {
  threadId: string;
  agentRunId: string;
}

export interface ComposerProperties {
  /** The thread to continue. By default, the composer starts a new thread. */
  threadId?: string;
  busy?: boolean;
  onStarted: (started: Started) => void;
  /** A task to copy into the form. A new value of `turn` copies the task again. */
  suggestion?: { prompt: string; files: File[]; turn: number } | null;
  large?: boolean;
}

export function Composer({ threadId, busy = false, onStarted, suggestion, large = false }: ComposerProperties) {
  const prompt = useSignal("");
  // A link can select an agent: `#/?agent=UUID`.
  const agentId = useSignal(threadId ? "" : (parameters().get("agent") ?? ""));
  const model = useSignal("");
  const mode = useSignal("code");
  const ifBusy = useSignal<"enqueue" | "interrupt">("enqueue");
  const starting = useSignal(false);
  const over = useSignal(false);
  const isOpen = useSignal(false);
  const refused = useSignal<Explained | null>(null);
  const attachments = useMemo(() => new Attachments(), []);
  const input = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const help = useId();
  const choices = useId();
  // The idempotency key of the current request. A retry after a lost response reuses the key and so starts no second
  // run.
  const key = useRef<{ of: string; key: string } | null>(null);
  const chosen = [agentId.value, model.value, mode.value === "code" ? "" : mode.value].filter(Boolean).length;
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
    starting.value = true;
    refused.value = null;
    try {
      const files = await attachments.ready();
      if (!files) {
        attachments.problem.value = "A file could not be uploaded. Remove it, then add it again or start without it.";
        return;
      }
      const request = {
        prompt: text || "Look at the files.",
        files: files.map((uploadId) => ({ uploadId })),
        mode: mode.value,
        ...(threadId ? { threadId, ifBusy: ifBusy.value } : {}),
        ...(agentId.value ? { agentId: agentId.value } : {}),
        ...(model.value ? { modelName: model.value } : {}),
      };
      const of = JSON.stringify(request);
      if (key.current?.of !== of) key.current = { of, key: newId() };
      const started = await runyard().agents.run({ ...request, idempotencyKey: key.current.key });
      key.current = null;
      prompt.value = "";
      attachments.clear();
      void loadAccount();
      onStarted(started);
    } catch (error) {
      refused.value = explainError(error);
    } finally {
      starting.value = false;
    }
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
          placeholder={threadId ? "Describe the next task or a change." : `Describe the task.${isTouch ? "" : " Drop files here."}`}
          value={prompt.value}
          onInput={(event) => (prompt.value = event.currentTarget.value)}
          onPaste={onPaste}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
              event.preventDefault();
              void start();
            }
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
          <button
            type="button"
            class="button button-quiet composer-more"
            aria-expanded={isOpen.value}
            aria-controls={choices}
            onClick={() => (isOpen.value = !isOpen.value)}
          >
            <Icon of={SlidersHorizontal} size={16} />
            Options
            {chosen > 0 && <span class="badge">{chosen}</span>}
          </button>
          <div id={choices} class={isOpen.value ? "composer-choices composer-choices-open" : "composer-choices"}>
            <AgentChoice value={agentId.value} onChange={(value) => (agentId.value = value)} />
            <ModelChoice value={model.value} onChange={(value) => (model.value = value)} />
            <ModeChoice value={mode.value} onChange={(value) => (mode.value = value)} />
          </div>
          <button type="submit" class="button button-primary composer-start" disabled={starting.value}>
            {starting.value ? "Starting" : "Start"}
            <Icon of={ArrowUp} size={16} />
          </button>
        </div>
      </div>
      <div class="composer-below small">
        <p id={help} class="composer-help">
          <kbd>{isApple ? "⌘" : "Ctrl"}</kbd> <kbd>Enter</kbd> starts the run
          {!threadId && (
            <>
              {" "}
              · <kbd>/</kbd> focuses this field
            </>
          )}{" "}
          · files up to {bytes(account.value?.maxUploadBytes ?? 10_000_000)} each
        </p>
        {threadId && busy && (
          <label class="choice composer-busy">
            <span>If a run is active, the new run</span>
            <select
              value={ifBusy.value}
              onChange={(event) => (ifBusy.value = event.currentTarget.value as "enqueue" | "interrupt")}
            >
              <option value="enqueue">waits in the queue</option>
              <option value="interrupt">interrupts it</option>
            </select>
          </label>
        )}
      </div>
    </form>
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

function AgentChoice({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const list = agents.value ?? [];
  const defaultAgent = list.find((agent) => agent.isDefault);
  const shown = list.some((agent) => agent.agentId === value && agent !== defaultAgent) ? value : "";
  return (
    <label class="choice">
      <span class="unseen">Agent</span>
      <select value={shown} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="">{defaultAgent ? `${defaultAgent.name} (default)` : "Built-in agent"}</option>
        {list
          .filter((agent) => agent !== defaultAgent)
          .map((agent) => (
            <option key={agent.agentId} value={agent.agentId}>
              {agent.name}
            </option>
          ))}
      </select>
    </label>
  );
}

function ModeChoice({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  useEffect(() => void loadModes(), []);
  // Every server has the mode "code", so the menu offers it until the modes are loaded.
  const list = modes.value ?? [{ name: "code", description: "" }];
  return (
    <label class="choice" title={list.find((mode) => mode.name === value)?.description}>
      <span class="unseen">Mode</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {list.map((mode) => (
          <option key={mode.name} value={mode.name} title={mode.description}>
            Mode: {mode.name}
          </option>
        ))}
      </select>
    </label>
  );
}

function ModelChoice({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const models = account.value?.models ?? [];
  return (
    <label class="choice">
      <span class="unseen">Model</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="">Agent's model</option>
        {models.map((model) => (
          <option key={model.modelName} value={model.modelName} disabled={!model.allowed && !model.downgradedTo}>
            {model.modelName}
            {!model.allowed && (model.downgradedTo ? ` (your plan uses ${model.downgradedTo})` : " (not in your plan)")}
          </option>
        ))}
      </select>
    </label>
  );
}
