// The account's triggers, on the page of the schedules: addresses that start a run when they receive a request.
import { Plus, Zap } from "lucide";
import { useSignal } from "@preact/signals";
import type { Trigger } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { explainError } from "../errors";
import { agents } from "../stores/agents";
import { announce } from "../stores/announce";
import { loadTriggers, triggers } from "../stores/triggers";
import { dayAndTime } from "../view/format";
import type { Explained } from "../view/refusal";
import { Confirm, Dialog, Empty, Field, Note, RefusalNote, Spinner } from "./basic";
import { CopyButton } from "./copy";
import { Icon } from "./icon";

export function Triggers() {
  const editing = useSignal<Trigger | "new" | null>(null);
  const shown = useSignal<Trigger | null>(null);
  const deleting = useSignal<Trigger | null>(null);
  const refused = useSignal<Explained | null>(null);
  useEffect(() => void loadTriggers(), []);
  const { value, refused: notLoaded, loading } = triggers.state.value;
  const act = async (what: string, action: () => Promise<unknown>) => {
    refused.value = null;
    try {
      await action();
      announce(what);
      await loadTriggers();
    } catch (error) {
      refused.value = explainError(error);
    }
  };
  return (
    <section aria-labelledby="triggers">
      <div class="page-head">
        <h2 id="triggers">Triggers</h2>
        <button type="button" class="button push" onClick={() => (editing.value = "new")}>
          <Icon of={Plus} size={17} />
          New trigger
        </button>
      </div>
      {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
      {notLoaded && <RefusalNote explained={notLoaded} onAgain={() => void loadTriggers()} />}
      {!value && loading && <Spinner label="Loading triggers" />}
      {value?.length === 0 && (
        <Empty title="No triggers yet">
          <p>A trigger is an address that starts a run when another program sends it a request.</p>
        </Empty>
      )}
      <ul class="keys" aria-label="Triggers">
        {value?.map((trigger) => (
          <li key={trigger.triggerId} class={trigger.enabled ? "key" : "key key-over"}>
            <Icon of={Zap} size={17} />
            <div>
              <strong>{trigger.name}</strong> <code class="dim">POST {trigger.path}</code>
              <State trigger={trigger} />
              <div class="dialog-actions">
                <button
                  type="button"
                  class="button button-small"
                  onClick={() =>
                    void act(trigger.enabled ? "Disabled" : "Enabled", () =>
                      runyard().triggers.update(trigger.triggerId, { enabled: !trigger.enabled }),
                    )
                  }
                >
                  {trigger.enabled ? "Disable" : "Enable"}
                </button>
                <button
                  type="button"
                  class="button button-small"
                  onClick={() =>
                    void act("Secret rotated", async () => {
                      shown.value = await runyard().triggers.rotateSecret(trigger.triggerId);
                    })
                  }
                >
                  Rotate secret
                </button>
                <button type="button" class="button button-small" onClick={() => (editing.value = trigger)}>
                  Edit
                </button>
                <button type="button" class="button button-small" onClick={() => (deleting.value = trigger)}>
                  Delete
                </button>
              </div>
            </div>
          </li>
        ))}
      </ul>
      {editing.value && (
        <Editor
          trigger={editing.value === "new" ? null : editing.value}
          onClose={() => (editing.value = null)}
          onSaved={(trigger) => {
            editing.value = null;
            shown.value = trigger;
            announce("Trigger saved");
            void loadTriggers();
          }}
        />
      )}
      {shown.value?.secret && (
        <Dialog title="Secret of the trigger" onClose={() => (shown.value = null)}>
          <div class="dialog-text">
            <Note kind="warning">Copy the secret now. It is shown only once. Requests send it as a bearer token, or are signed with it.</Note>
            <div class="secret">
              <input class="code" readOnly aria-label="Secret" value={shown.value.secret} onFocus={(event) => event.currentTarget.select()} />
              <CopyButton text={shown.value.secret} what="the secret" label />
            </div>
          </div>
        </Dialog>
      )}
      {deleting.value && (
        <Confirm
          title={`Delete ${deleting.value.name}?`}
          action="Delete"
          onClose={() => (deleting.value = null)}
          onConfirm={() => void act("Trigger deleted", () => runyard().triggers.delete(deleting.peek()!.triggerId))}
        >
          <p>Requests to this trigger are refused. Its runs and threads stay.</p>
        </Confirm>
      )}
    </section>
  );
}

function State({ trigger }: { trigger: Trigger }) {
  return (
    <>
      {!trigger.enabled && <p class="small">Disabled</p>}
      <p class="small dim">
        {trigger.lastFiredAt ? `Last request ${dayAndTime(trigger.lastFiredAt)}` : "No request yet"}
        {trigger.lastThreadId && (
          <>
            {" · "}
            <a href={`#/threads/${trigger.lastThreadId}`}>Last run</a>
          </>
        )}
      </p>
      {trigger.lastError && <p class="small">The last request was refused: {trigger.lastError}</p>}
      {trigger.earlierSecretExpiresAt && (
        <p class="small dim">The earlier secret is valid until {dayAndTime(trigger.earlierSecretExpiresAt)}.</p>
      )}
    </>
  );
}

function Editor({ trigger, onClose, onSaved }: { trigger: Trigger | null; onClose: () => void; onSaved: (trigger: Trigger) => void }) {
  const name = useSignal(trigger?.name ?? "");
  const prompt = useSignal(trigger?.prompt ?? "{{body}}");
  const agentId = useSignal(trigger?.agentId ?? "");
  const refused = useSignal<Explained | null>(null);
  return (
    <Dialog title={trigger ? "Edit trigger" : "New trigger"} onClose={onClose}>
      <form
        class="dialog-text"
        onSubmit={async (event) => {
          event.preventDefault();
          const fields = { name: name.value.trim(), prompt: prompt.value, agentId: agentId.value };
          try {
            onSaved(trigger ? await runyard().triggers.update(trigger.triggerId, fields) : await runyard().triggers.create(fields));
          } catch (error) {
            refused.value = explainError(error);
          }
        }}
      >
        {refused.value && <RefusalNote explained={refused.value} />}
        <Field label="Name">
          <input required maxLength={200} value={name.value} onInput={(event) => (name.value = event.currentTarget.value)} />
        </Field>
        <Field label="Prompt template" hint="{{body}}, {{body.field}} and {{header.name}} are replaced by values of the request.">
          <textarea required rows={4} value={prompt.value} onInput={(event) => (prompt.value = event.currentTarget.value)} />
        </Field>
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
        <div class="dialog-actions">
          <button type="submit" class="button button-primary">
            Save
          </button>
        </div>
      </form>
    </Dialog>
  );
}
