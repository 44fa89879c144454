// The account's API keys. The secret of a new key is shown once.
import { KeyRound } from "lucide";
import { useSignal } from "@preact/signals";
import type { ApiKey, NewApiKey } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { Loadable } from "../stores/loaded";
import { day } from "../view/format";
import { Confirm } from "./basic";
import { ChoiceField, EditorDialog, SecretDialog, TextField } from "./editor";
import { Icon } from "./icon";
import { ListState, NewButton, RowButton, useActions } from "./managed";

const keys = new Loadable<readonly ApiKey[]>();

/** Days until a new key expires; 0 for never. */
const LIFETIMES = { "30": "In 30 days", "90": "In 90 days", "365": "In one year", "0": "Never" } as const;
const SCOPES = { read: "Read only", run: "Read, start runs and make changes", admin: "Full access to this account" } as const;

function load(): Promise<void> {
  return keys.load(() => runyard().apiKeys.list({ pageSize: 200 }).all(500));
}

export function ApiKeys() {
  const creating = useSignal(false);
  const created = useSignal<NewApiKey | null>(null);
  const revoking = useSignal<ApiKey | null>(null);
  const { refused, act } = useActions(load);
  useEffect(() => void load(), []);
  return (
    <section aria-labelledby="keys">
      <div class="section-head">
        <h2 id="keys">API keys</h2>
        <NewButton label="New API key" look="button-small" onClick={() => (creating.value = true)} />
      </div>
      <ListState of={keys} what="keys" refused={refused} load={load}>
        <p class="dim">
          No API keys yet. Programs authenticate with a key: <code>Authorization: Bearer …</code>. Give each key only the access it needs.
        </p>
      </ListState>
      <ul class="keys" aria-label="API keys">
        {keys.value?.map((key) => (
          <li key={key.keyId} class={key.revokedAt ? "key key-over" : "key"}>
            <Icon of={KeyRound} size={17} />
            <div>
              <strong>{key.name}</strong> <code class="dim">{key.prefix}…</code>
              <p class="small dim">
                {key.scopes.map((scope) => SCOPES[scope as keyof typeof SCOPES] ?? scope).join(", ")}
                {key.createdAt && ` · created ${day(key.createdAt)}`}
                {key.lastUsedAt ? ` · last used ${day(key.lastUsedAt)}` : " · never used"}
                {key.revokedAt ? ` · revoked ${day(key.revokedAt)}` : key.expiresAt && ` · expires ${day(key.expiresAt)}`}
              </p>
            </div>
            {!key.revokedAt && (
              <div class="key-actions">
                <RowButton label="Revoke" of={key.name} onClick={() => (revoking.value = key)} />
              </div>
            )}
          </li>
        ))}
      </ul>
      {creating.value && (
        <NewKey
          onClose={() => (creating.value = false)}
          onCreated={(key) => {
            creating.value = false;
            created.value = key;
            void load();
          }}
        />
      )}
      {created.value && (
        <SecretDialog title="Your new API key" label="API key" secret={created.value.secret} use="Programs send it as a bearer token." onClose={() => (created.value = null)} />
      )}
      {revoking.value && (
        <Confirm
          title={`Revoke ${revoking.value.name}?`}
          action="Revoke"
          onClose={() => (revoking.value = null)}
          onConfirm={() => void act(`Revoked ${revoking.peek()!.name}`, () => runyard().apiKeys.revoke(revoking.peek()!.keyId))}
        >
          <p>Programs that use this key stop working immediately.</p>
        </Confirm>
      )}
    </section>
  );
}

function NewKey({ onClose, onCreated }: { onClose: () => void; onCreated: (key: NewApiKey) => void }) {
  const name = useSignal("");
  const scope = useSignal<keyof typeof SCOPES>("run");
  const days = useSignal<keyof typeof LIFETIMES>("90");
  const save = async () => {
    const lifetime = Number(days.value);
    onCreated(
      await runyard().apiKeys.create({
        name: name.value.trim(),
        scopes: [scope.value],
        ...(lifetime > 0 ? { expiresAt: new Date(Date.now() + lifetime * 86_400_000) } : {}),
      }),
    );
  };
  return (
    <EditorDialog title="New API key" action="Create API key" onSave={save} onClose={onClose}>
      <TextField label="Name" hint="For example, the program that uses the key." text={name} maxLength={100} />
      <ChoiceField label="Access" chosen={scope} choices={SCOPES} />
      <ChoiceField label="Expires" chosen={days} choices={LIFETIMES} />
    </EditorDialog>
  );
}
