// The account's triggers, on the page of the schedules: addresses that start a run when they receive a request.
import { Zap } from "lucide";
import { useSignal } from "@preact/signals";
import type { Trigger } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { announce } from "../stores/announce";
import { loadTriggers, triggers } from "../stores/triggers";
import { dayAndTime } from "../view/format";
import { Confirm, Empty } from "./basic";
import { CopyButton } from "./copy";
import { AgentField, EditorDialog, LinesField, SecretDialog, TextField } from "./editor";
import { Icon } from "./icon";
import { ListState, NewButton, RowButton, useActions } from "./managed";

export function Triggers() {
  const editing = useSignal<Trigger | "new" | null>(null);
  const shown = useSignal<Trigger | null>(null);
  const deleting = useSignal<Trigger | null>(null);
  const { refused, act } = useActions(loadTriggers);
  useEffect(() => void loadTriggers(), []);
  return (
    <section aria-labelledby="triggers">
      <div class="page-head">
        <h2 id="triggers">Triggers</h2>
        <NewButton label="New trigger" onClick={() => (editing.value = "new")} />
      </div>
      <ListState of={triggers} what="triggers" refused={refused} load={loadTriggers}>
        <Empty title="No triggers yet">
          <p>A trigger is an address that starts a run when another program sends it a request.</p>
        </Empty>
      </ListState>
      <ul class="keys" aria-label="Triggers">
        {triggers.value?.map((trigger) => (
          <li key={trigger.triggerId} class={trigger.enabled ? "key" : "key key-over"}>
            <Icon of={Zap} size={17} />
            <div>
              <strong>{trigger.name}</strong>
              <p class="trigger-address">
                <code class="dim">POST {addressOf(trigger)}</code>
                <CopyButton text={addressOf(trigger)} what={`the address of ${trigger.name}`} />
              </p>
              <State trigger={trigger} />
              <div class="dialog-actions">
                <RowButton
                  label={trigger.enabled ? "Disable" : "Enable"}
                  of={trigger.name}
                  onClick={() =>
                    void act(trigger.enabled ? "Trigger disabled" : "Trigger enabled", () =>
                      runyard().triggers.update(trigger.triggerId, { enabled: !trigger.enabled }),
                    )
                  }
                />
                <RowButton
                  label="Rotate secret"
                  of={trigger.name}
                  onClick={() =>
                    void act("Secret rotated", async () => {
                      shown.value = await runyard().triggers.rotateSecret(trigger.triggerId);
                    })
                  }
                />
                <RowButton label="Edit" of={trigger.name} onClick={() => (editing.value = trigger)} />
                <RowButton label="Delete" of={trigger.name} onClick={() => (deleting.value = trigger)} />
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
        <SecretDialog
          title="Secret of the trigger"
          label="Secret"
          secret={shown.value.secret}
          use="Requests send it as a bearer token, or are signed with it."
          onClose={() => (shown.value = null)}
        />
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

/** The complete address, because other programs need it. */
function addressOf(trigger: Trigger): string {
  return `${location.origin}${trigger.path}`;
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
  const save = async () => {
    const fields = { name: name.value.trim(), prompt: prompt.value, agentId: agentId.value };
    onSaved(trigger ? await runyard().triggers.update(trigger.triggerId, fields) : await runyard().triggers.create(fields));
  };
  return (
    <EditorDialog title={trigger ? "Edit trigger" : "New trigger"} action={trigger ? "Save" : "Create trigger"} onSave={save} onClose={onClose}>
      <TextField label="Name" text={name} maxLength={200} />
      <LinesField label="Prompt template" hint="{{body}}, {{body.field}} and {{header.name}} are replaced by values of the request." text={prompt} />
      <AgentField agentId={agentId} />
    </EditorDialog>
  );
}
