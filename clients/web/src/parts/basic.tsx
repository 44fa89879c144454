// Small components that all screens share.
import { CircleAlert, CircleCheck, CircleStop, Clock, Hand, Info, TriangleAlert, X } from "lucide";
import { type ComponentChildren, type VNode, cloneElement } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { count } from "../view/format";
import type { RunState } from "../view/run";
import type { Code, Explained } from "../view/refusal";
import { Icon } from "./icon";

export function Spinner({ label }: { label: string }) {
  return (
    <span class="spinner" role="status">
      <span class="spinner-ring" aria-hidden="true" />
      <span>{label}</span>
    </span>
  );
}

const STATE_WORDS: Record<RunState, string> = {
  queued: "Queued",
  running: "Running",
  waiting: "Waiting for you",
  completed: "Completed",
  failed: "Failed",
  stopped: "Stopped",
};

export function State({ of, quiet = false }: { of: RunState; quiet?: boolean }) {
  return (
    <span class={`state state-${of}${quiet ? " state-quiet" : ""}`}>
      <StateSign of={of} />
      {STATE_WORDS[of]}
    </span>
  );
}

function StateSign({ of }: { of: RunState }) {
  switch (of) {
    case "queued":
      return <Icon of={Clock} size={14} />;
    case "waiting":
      return <Icon of={Hand} size={14} />;
    case "running":
      return <span class="pulse" aria-hidden="true" />;
    case "completed":
      return <Icon of={CircleCheck} size={14} />;
    case "failed":
      return <Icon of={CircleAlert} size={14} />;
    case "stopped":
      return <Icon of={CircleStop} size={14} />;
  }
}

/** Screen readers announce warnings and errors. */
export function Note({
  kind = "info",
  children,
  onClose,
}: {
  kind?: "info" | "warning" | "error" | "good";
  children: ComponentChildren;
  onClose?: () => void;
}) {
  const sign = kind === "info" ? Info : kind === "good" ? CircleCheck : kind === "warning" ? TriangleAlert : CircleAlert;
  return (
    <div class={`note note-${kind}`} role={kind === "error" ? "alert" : kind === "warning" ? "status" : undefined}>
      <Icon of={sign} size={18} />
      <div class="note-text">{children}</div>
      {onClose && (
        <button type="button" class="button-icon" aria-label="Close this message" onClick={onClose}>
          <Icon of={X} size={16} />
        </button>
      )}
    </div>
  );
}

export function RefusalNote({
  explained,
  onAgain,
  onClose,
}: {
  explained: Explained;
  onAgain?: () => void;
  onClose?: () => void;
}) {
  return (
    <Note kind="error" {...(onClose ? { onClose } : {})}>
      <strong>{explained.title}</strong>
      <p>{explained.text}</p>
      {explained.operator && (
        <p class="small">
          <Words of={explained.operator} />
        </p>
      )}
      {explained.requestId && (
        <p class="small">
          Request id: <code>{explained.requestId}</code>
        </p>
      )}
      {(explained.links.length > 0 || (explained.again && onAgain)) && (
        <p class="note-actions">
          {explained.again && onAgain && (
            <button type="button" class="button button-small" onClick={onAgain}>
              Try again
            </button>
          )}
          {explained.links.map((link) => (
            <a key={link.to} class="button button-small" href={`#${link.to}`}>
              {link.label}
            </a>
          ))}
        </p>
      )}
    </Note>
  );
}

export function Words({ of }: { of: Code[] }) {
  return <>{of.map((part) => (typeof part === "string" ? part : <code key={part.code}>{part.code}</code>))}</>;
}

export function Empty({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      <div>{children}</div>
    </div>
  );
}

/** Esc or a click outside closes the dialog. */
export function Dialog({
  title,
  children,
  onClose,
  size = "small",
}: {
  title: string;
  children: ComponentChildren;
  onClose: () => void;
  size?: "small" | "wide" | "full";
}) {
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const before = document.activeElement;
    element.current?.showModal();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      class={`dialog dialog-${size}`}
      aria-labelledby={heading}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === element.current) element.current?.close();
      }}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2 id={heading}>{title}</h2>
          <button type="button" class="button-icon" aria-label="Close" onClick={() => element.current?.close()}>
            <Icon of={X} />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

export function Confirm({
  title,
  children,
  action,
  onConfirm,
  onClose,
}: {
  title: string;
  children: ComponentChildren;
  action: string;
  onConfirm: () => void;
  onClose: () => void;
}) {
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="dialog-text">{children}</div>
      <div class="dialog-actions">
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <button
          type="button"
          class="button button-danger"
          onClick={() => {
            onConfirm();
            onClose();
          }}
        >
          {action}
        </button>
      </div>
    </Dialog>
  );
}

export function Field({ label, hint, children, wide = false }: { label: string; hint?: ComponentChildren; children: VNode; wide?: boolean }) {
  const id = useId();
  return (
    <div class={wide ? "field field-wide" : "field"}>
      <label class="field-label" for={id}>
        {label}
      </label>
      {cloneElement(children, hint ? { id, "aria-describedby": `${id}-hint` } : { id })}
      {hint && (
        <span class="field-hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
    </div>
  );
}

/** A `limit` of null means no limit. */
export function Meter({ label, used, limit }: { label: string; used: number; limit: number | null }) {
  const share = limit === null ? 0 : limit === 0 ? 1 : Math.min(1, used / limit);
  const level = limit === null ? "free" : share >= 1 ? "full" : share >= 0.8 ? "near" : "fine";
  const words = limit === null ? "no limit" : level === "full" ? "limit reached" : `${count(limit - used)} left`;
  return (
    <div class={`meter meter-${level}`}>
      <div class="meter-head">
        <span>{label}</span>
        <span class="numbers">
          {count(used)}
          {limit !== null && <span class="dim"> of {count(limit)}</span>}
        </span>
      </div>
      <div
        class="meter-track"
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={limit ?? Math.max(1, used)}
        aria-valuenow={used}
        aria-valuetext={limit === null ? `${used}, no limit` : `${used} of ${limit}, ${words}`}
      >
        <span style={{ width: `${share * 100}%` }} />
      </div>
      <div class="meter-words small">{words}</div>
    </div>
  );
}
