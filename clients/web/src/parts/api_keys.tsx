// The account's API keys. The secret of a new key is shown once.
import { KeyRound, Plus } from "lucide";
import { useSignal } from "@preact/signals";
import type { ApiKey, NewApiKey } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { announce } from "../stores/announce";
import { Loadable } from "../stores/loaded";
import { explainError } from "../errors";
import { day } from "../view/format";
import type { Explained } from "../view/refusal";
import { Confirm, Dialog, Field, Note, RefusalNote, Spinner } from "./basic";
import { CopyButton } from "./copy";
import { Icon } from "./icon";

const keys = new Loadable<readonly ApiKey[]>();

const SCOPES = { read: "Read only", run: "Read, start runs and make changes", admin: "Full access to this account" } as const;

function load(): Promise<void> {
  return keys.load(() => runyard().apiKeys.list({ pageSize: 200 }).all(500));
}

export function ApiKeys() {
  const creating = useSignal(false);
  const created = useSignal<NewApiKey | null>(null);
  const revoking = useSignal<ApiKey | null>(null);
  const refused = useSignal<Explained | null>(null);
  useEffect(() => void load(), []);
  const { value, refused: notLoaded } = keys.state.value;
  return (
    <section aria-labelledby="keys">
      <div class="section-head">
        <h2 id="keys">API keys</h2>
        <button type="button" class="button button-small push" onClick={() => (creating.value = true)}>
          <Icon of={Plus} size={15} />
          New key
        </button>
      </div>
      {(refused.value ?? notLoaded) && <RefusalNote explained={(refused.value ?? notLoaded)!} onClose={() => (refused.value = null)} />}
      {!value && !notLoaded && <Spinner label="Loading keys" />}
      {value?.length === 0 && (
        <p class="dim">
          No API keys yet. Programs authenticate with a key: <code>Authorization: Bearer …</code>. Give each key only the access it needs.
        </p>
      )}
      <ul class="keys">
        {value?.map((key) => (
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
              <button type="button" class="button button-small push" aria-label={`Revoke ${key.name}`} onClick={() => (revoking.value = key)}>
                Revoke
              </button>
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
        <Dialog title="Your new API key" onClose={() => (created.value = null)}>
          <div class="dialog-text">
            <Note kind="warning">Copy the key now. It is shown only once.</Note>
            <div class="secret">
              <input class="code" readOnly aria-label="API key" value={created.value.secret} onFocus={(event) => event.currentTarget.select()} />
              <CopyButton text={created.value.secret} what="the key" label />
            </div>
          </div>
        </Dialog>
      )}
      {revoking.value && (
        <Confirm
          title={`Revoke ${revoking.value.name}?`}
          action="Revoke"
          onClose={() => (revoking.value = null)}
          onConfirm={async () => {
            const key = revoking.peek()!;
            try {
              await runyard().apiKeys.revoke(key.keyId);
              announce(`Revoked ${key.name}`);
              await load();
            } catch (error) {
              refused.value = explainError(error);
            }
          }}
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
  const days = useSignal(90);
  const refused = useSignal<Explained | null>(null);
  return (
    <Dialog title="New API key" onClose={onClose}>
      <form
        class="dialog-text"
        onSubmit={async (event) => {
          event.preventDefault();
          try {
            onCreated(
              await runyard().apiKeys.create({
                name: name.value.trim(),
                scopes: [scope.value],
                ...(days.value > 0 ? { expiresAt: new Date(Date.now() + days.value * 86_400_000) } : {}),
              }),
            );
          } catch (error) {
            refused.value = explainError(error);
          }
        }}
      >
        {refused.value && <RefusalNote explained={refused.value} />}
        <Field label="Name" hint="For example, the program that uses the key.">
          <input required maxLength={100} value={name.value} onInput={(event) => (name.value = event.currentTarget.value)} />
        </Field>
        <Field label="Access">
          <select value={scope.value} onChange={(event) => (scope.value = event.currentTarget.value as keyof typeof SCOPES)}>
            {Object.entries(SCOPES).map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Expires">
          <select value={days.value} onChange={(event) => (days.value = Number(event.currentTarget.value))}>
            <option value={30}>In 30 days</option>
            <option value={90}>In 90 days</option>
            <option value={365}>In one year</option>
            <option value={0}>Never</option>
          </select>
        </Field>
        <div class="dialog-actions">
          <button type="submit" class="button button-primary">
            Create key
          </button>
        </div>
      </form>
    </Dialog>
  );
}
