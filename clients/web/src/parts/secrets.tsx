// The account's secrets. Their values are write-only.
import { Lock, Plus } from "lucide";
import { useSignal } from "@preact/signals";
import type { Secret } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { explainError } from "../errors";
import { announce } from "../stores/announce";
import { Loadable } from "../stores/loaded";
import { day } from "../view/format";
import type { Explained } from "../view/refusal";
import { Confirm, Dialog, Field, RefusalNote, Spinner } from "./basic";
import { Icon } from "./icon";

const secrets = new Loadable<readonly Secret[]>();

function load(): Promise<void> {
  return secrets.load(() => runyard().secrets.list({ pageSize: 200 }).all(500));
}

export function Secrets() {
  const editing = useSignal<Secret | "new" | null>(null);
  const deleting = useSignal<Secret | null>(null);
  const refused = useSignal<Explained | null>(null);
  useEffect(() => void load(), []);
  const { value, refused: notLoaded } = secrets.state.value;
  const remove = async (secret: Secret) => {
    try {
      await runyard().secrets.delete(secret.secretId);
      announce("Secret deleted");
      await load();
    } catch (error) {
      refused.value = explainError(error);
    }
  };
  return (
    <section aria-labelledby="secrets">
      <div class="section-head">
        <h2 id="secrets">Secrets</h2>
        <button type="button" class="button button-small push" onClick={() => (editing.value = "new")}>
          <Icon of={Plus} size={15} />
          New secret
        </button>
      </div>
      {(refused.value ?? notLoaded) && <RefusalNote explained={(refused.value ?? notLoaded)!} onClose={() => (refused.value = null)} />}
      {!value && !notLoaded && <Spinner label="Loading secrets" />}
      {value?.length === 0 && (
        <p class="dim">
          No secrets yet. A header of an MCP server uses a secret with <code>{"${secret:NAME}"}</code>. Its value is never shown again.
        </p>
      )}
      <ul class="keys" aria-label="Secrets">
        {value?.map((secret) => (
          <li key={secret.secretId} class="key">
            <Icon of={Lock} size={17} />
            <div>
              <strong>{secret.name}</strong>
              <p class="small dim">
                {secret.hosts.length > 0 ? `only for ${secret.hosts.join(", ")}` : "for all hosts"}
                {secret.updatedAt && ` · changed ${day(secret.updatedAt)}`}
              </p>
            </div>
            <button type="button" class="button button-small push" aria-label={`Change ${secret.name}`} onClick={() => (editing.value = secret)}>
              Change
            </button>
            <button type="button" class="button button-small" aria-label={`Delete ${secret.name}`} onClick={() => (deleting.value = secret)}>
              Delete
            </button>
          </li>
        ))}
      </ul>
      {editing.value && (
        <Editor
          secret={editing.value === "new" ? null : editing.value}
          onClose={() => (editing.value = null)}
          onSaved={() => {
            editing.value = null;
            announce("Secret saved");
            void load();
          }}
        />
      )}
      {deleting.value && (
        <Confirm title={`Delete ${deleting.value.name}?`} action="Delete" onClose={() => (deleting.value = null)} onConfirm={() => void remove(deleting.peek()!)}>
          <p>MCP servers whose headers use this secret can no longer be reached.</p>
        </Confirm>
      )}
    </section>
  );
}

function Editor({ secret, onClose, onSaved }: { secret: Secret | null; onClose: () => void; onSaved: () => void }) {
  const name = useSignal("");
  const text = useSignal("");
  const hosts = useSignal(secret?.hosts.join(" ") ?? "");
  const refused = useSignal<Explained | null>(null);
  return (
    <Dialog title={secret ? `Change ${secret.name}` : "New secret"} onClose={onClose}>
      <form
        class="dialog-text"
        onSubmit={async (event) => {
          event.preventDefault();
          const permitted = hosts.value.split(/[\s,]+/).filter(Boolean);
          try {
            if (!secret) await runyard().secrets.create({ name: name.value.trim(), value: text.value, hosts: permitted });
            else await runyard().secrets.update(secret.secretId, { hosts: permitted, ...(text.value && { value: text.value }) });
            onSaved();
          } catch (error) {
            refused.value = explainError(error);
          }
        }}
      >
        {refused.value && <RefusalNote explained={refused.value} />}
        {!secret && (
          <Field label="Name" hint="Letters, digits, _ and -.">
            <input required class="code" maxLength={64} value={name.value} onInput={(event) => (name.value = event.currentTarget.value)} />
          </Field>
        )}
        <Field label={secret ? "New value" : "Value"} hint={secret ? "Empty keeps the stored value." : "At least 8 characters. It is never shown again."}>
          <input
            required={!secret}
            type="password"
            autocomplete="off"
            class="code"
            value={text.value}
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
        </Field>
        <Field label="Hosts" hint="Hosts to which the value may be sent, such as mcp.example.com. Empty permits all hosts.">
          <input class="code" value={hosts.value} onInput={(event) => (hosts.value = event.currentTarget.value)} />
        </Field>
        <div class="dialog-actions">
          <button type="submit" class="button button-primary">
            Save
          </button>
        </div>
      </form>
    </Dialog>
  );
}
