// The dialogs in which the user edits an object of the account, and the dialog that shows a new secret once.
import type { Signal } from "@preact/signals";
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { explainError } from "../errors";
import { agents } from "../stores/agents";
import type { Explained } from "../view/refusal";
import { Dialog, Field, Note, RefusalNote } from "./basic";
import { CopyButton } from "./copy";

/** `onSave` sends the request. Its error is shown in the dialog, which stays open. */
export function EditorDialog({
  title,
  action = "Save",
  canSave = true,
  children,
  onSave,
  onClose,
}: {
  title: string;
  action?: string;
  canSave?: boolean;
  children: ComponentChildren;
  onSave: () => Promise<void>;
  onClose: () => void;
}) {
  const refused = useSignal<Explained | null>(null);
  const saving = useSignal(false);
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        class="dialog-text"
        onSubmit={async (event) => {
          event.preventDefault();
          if (saving.value) return;
          saving.value = true;
          refused.value = null;
          try {
            await onSave();
          } catch (error) {
            refused.value = explainError(error);
          } finally {
            saving.value = false;
          }
        }}
      >
        {refused.value && <RefusalNote explained={refused.value} />}
        {children}
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="button button-primary" disabled={!canSave || saving.value}>
            {action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

interface TextProperties {
  label: string;
  text: Signal<string>;
  hint?: string;
  optional?: boolean;
  maxLength?: number;
}

/** A line of text. */
export function TextField({ label, text, hint, optional = false, maxLength, code = false, type = "text", placeholder }: TextProperties & { code?: boolean; type?: "text" | "url" | "password"; placeholder?: string }) {
  return (
    <Field label={label} hint={hint}>
      <input
        type={type as "text"}
        autocomplete="off"
        required={!optional}
        maxLength={maxLength}
        placeholder={placeholder}
        class={code ? "code" : undefined}
        value={text.value}
        onInput={(event) => (text.value = event.currentTarget.value)}
      />
    </Field>
  );
}

/** Several lines of text. */
export function LinesField({ label, text, hint, optional = false, maxLength, rows = 4 }: TextProperties & { rows?: number }) {
  return (
    <Field label={label} hint={hint}>
      <textarea required={!optional} maxLength={maxLength} rows={rows} value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} />
    </Field>
  );
}

/** `choices` maps each value to its label. */
export function ChoiceField<T extends string>({ label, chosen, choices }: { label: string; chosen: Signal<T>; choices: Readonly<Record<T, string>> }) {
  return (
    <Field label={label}>
      <select value={chosen.value} onChange={(event) => (chosen.value = event.currentTarget.value as T)}>
        {Object.entries<string>(choices).map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </Field>
  );
}

/** The agent of a run. An empty id means the default agent. */
export function AgentField({ agentId }: { agentId: Signal<string> }) {
  return (
    <Field label="Agent">
      <select value={agentId.value} onChange={(event) => (agentId.value = event.currentTarget.value)}>
        <option value="">Default agent</option>
        {agents.value?.map((agent) => (
          <option key={agent.agentId} value={agent.agentId}>
            {agent.name}
          </option>
        ))}
      </select>
    </Field>
  );
}

/** A secret that the server shows only once. `label` names it, such as "Signing secret". */
export function SecretDialog({ title, label, secret, use, onClose }: { title: string; label: string; secret: string; use: string; onClose: () => void }) {
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="dialog-text">
        <Note kind="warning">Copy it now. It is shown only once. {use}</Note>
        <div class="secret">
          <input class="code" readOnly aria-label={label} value={secret} onFocus={(event) => event.currentTarget.select()} />
          <CopyButton text={secret} what={`the ${label.toLowerCase()}`} label />
        </div>
        <div class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>
            Done
          </button>
        </div>
      </div>
    </Dialog>
  );
}
