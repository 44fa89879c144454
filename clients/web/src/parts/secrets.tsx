// The account's secrets. Their values are write-only.
import { Lock } from "lucide";
import { useSignal } from "@preact/signals";
import type { Secret } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { announce } from "../stores/announce";
import { Loadable } from "../stores/loaded";
import { day } from "../view/format";
import { Confirm } from "./basic";
import { EditorDialog, TextField } from "./editor";
import { Icon } from "./icon";
import { ListState, NewButton, RowButton, useActions } from "./managed";

const secrets = new Loadable<readonly Secret[]>();

function load(): Promise<void> {
  return secrets.load(() => runyard().secrets.list({ pageSize: 200 }).all(500));
}

export function Secrets() {
  const editing = useSignal<Secret | "new" | null>(null);
  const deleting = useSignal<Secret | null>(null);
  const { refused, act } = useActions(load);
  useEffect(() => void load(), []);
  return (
    <section aria-labelledby="secrets">
      <div class="section-head">
        <h2 id="secrets">Secrets</h2>
        <NewButton label="New secret" look="button-small" onClick={() => (editing.value = "new")} />
      </div>
      <ListState of={secrets} what="secrets" refused={refused} load={load}>
        <p class="dim">
          No secrets yet. A header of an MCP server uses a secret with <code>{"${secret:NAME}"}</code>. Its value is never shown again.
        </p>
      </ListState>
      <ul class="keys" aria-label="Secrets">
        {secrets.value?.map((secret) => (
          <li key={secret.secretId} class="key">
            <Icon of={Lock} size={17} />
            <div>
              <strong>{secret.name}</strong>
              <p class="small dim">
                {secret.hosts.length > 0 ? `only for ${secret.hosts.join(", ")}` : "for all MCP servers"}
                {secret.updatedAt && ` · changed ${day(secret.updatedAt)}`}
              </p>
            </div>
            <div class="key-actions">
              <RowButton label="Edit" of={secret.name} onClick={() => (editing.value = secret)} />
              <RowButton label="Delete" of={secret.name} onClick={() => (deleting.value = secret)} />
            </div>
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
        <Confirm
          title={`Delete ${deleting.value.name}?`}
          action="Delete"
          onClose={() => (deleting.value = null)}
          onConfirm={() => void act("Secret deleted", () => runyard().secrets.delete(deleting.peek()!.secretId))}
        >
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
  const save = async () => {
    const permitted = hosts.value.split(/[\s,]+/).filter(Boolean);
    if (!secret) await runyard().secrets.create({ name: name.value.trim(), value: text.value, hosts: permitted });
    else await runyard().secrets.update(secret.secretId, { hosts: permitted, ...(text.value && { value: text.value }) });
    onSaved();
  };
  return (
    <EditorDialog title={secret ? `Edit ${secret.name}` : "New secret"} action={secret ? "Save" : "Create secret"} onSave={save} onClose={onClose}>
      {!secret && <TextField label="Name" hint="Letters, digits, _ and -." text={name} maxLength={64} code />}
      <TextField
        label={secret ? "New value" : "Value"}
        hint={secret ? "Empty keeps the stored value." : "At least 8 characters. It is never shown again."}
        text={text}
        type="password"
        optional={secret !== null}
        code
      />
      <TextField label="Hosts" hint="Hosts to which the value may be sent, such as mcp.example.com. Empty permits all hosts of MCP servers, and none for commands." text={hosts} optional code />
    </EditorDialog>
  );
}
