// The account's webhooks: creation, settings and secrets. `parts/deliveries.tsx` shows the delivery log.
import { Webhook as WebhookIcon } from "lucide";
import { useSignal } from "@preact/signals";
import type { Webhook } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { Confirm, Empty } from "../parts/basic";
import { Deliveries } from "../parts/deliveries";
import { EditorDialog, SecretDialog, TextField } from "../parts/editor";
import { Icon } from "../parts/icon";
import { ListState, NewButton, RowButton, useActions } from "../parts/managed";
import { announce } from "../stores/announce";
import { loadDeliveries, loadWebhooks, webhooks } from "../stores/webhooks";
import { counted, dayAndTime } from "../view/format";

const EVENTS = ["run.completed", "run.failed", "run.stopped", "run.waiting"] as const;

export function Webhooks() {
  const editing = useSignal<Webhook | "new" | null>(null);
  const shown = useSignal<Webhook | null>(null);
  const open = useSignal<string | null>(null);
  const deleting = useSignal<Webhook | null>(null);
  const { refused, act } = useActions(loadWebhooks);
  useEffect(() => {
    document.title = "Webhooks · Runyard";
    void loadWebhooks();
  }, []);
  return (
    <div class="page page-wide">
      <div class="page-head">
        <h1>Webhooks</h1>
        <NewButton label="New webhook" look="button-primary" onClick={() => (editing.value = "new")} />
      </div>
      <ListState of={webhooks} what="webhooks" refused={refused} load={loadWebhooks}>
        <Empty title="No webhooks yet">
          <p>A webhook is a URL that receives a signed request when a run completes, fails, is stopped or waits for input.</p>
        </Empty>
      </ListState>
      <ul class="keys" aria-label="Webhooks">
        {webhooks.value?.map((webhook) => (
          <li key={webhook.webhookId} class={webhook.enabled ? "key" : "key key-over"}>
            <Icon of={WebhookIcon} size={17} />
            <div>
              <strong>{webhook.url}</strong>
              <p class="small dim">{webhook.events.join(", ")}</p>
              <State webhook={webhook} />
              <div class="dialog-actions">
                <RowButton
                  label="Deliveries"
                  of={webhook.url}
                  expanded={open.value === webhook.webhookId}
                  onClick={() => (open.value = open.value === webhook.webhookId ? null : webhook.webhookId)}
                />
                <RowButton
                  label="Send a test"
                  of={webhook.url}
                  disabled={!webhook.enabled}
                  onClick={() =>
                    void act("Test queued", async () => {
                      await runyard().webhooks.test(webhook.webhookId);
                      open.value = webhook.webhookId;
                      await loadDeliveries(webhook.webhookId);
                    })
                  }
                />
                <RowButton
                  label={webhook.enabled ? "Disable" : "Enable"}
                  of={webhook.url}
                  onClick={() =>
                    void act(webhook.enabled ? "Webhook disabled" : "Webhook enabled", () =>
                      runyard().webhooks.update(webhook.webhookId, { enabled: !webhook.enabled }),
                    )
                  }
                />
                <RowButton
                  label="Rotate secret"
                  of={webhook.url}
                  onClick={() =>
                    void act("Secret rotated", async () => {
                      shown.value = await runyard().webhooks.rotateSecret(webhook.webhookId);
                    })
                  }
                />
                <RowButton label="Edit" of={webhook.url} onClick={() => (editing.value = webhook)} />
                <RowButton label="Delete" of={webhook.url} onClick={() => (deleting.value = webhook)} />
              </div>
              {open.value === webhook.webhookId && <Deliveries webhook={webhook} />}
            </div>
          </li>
        ))}
      </ul>
      {editing.value && (
        <Editor
          webhook={editing.value === "new" ? null : editing.value}
          onClose={() => (editing.value = null)}
          onSaved={(webhook) => {
            editing.value = null;
            // Only a new webhook contains its secret.
            shown.value = webhook;
            announce("Webhook saved");
            void loadWebhooks();
          }}
        />
      )}
      {shown.value?.secret && (
        <SecretDialog
          title="Signing secret"
          label="Signing secret"
          secret={shown.value.secret}
          use="The receiver verifies signatures with it."
          onClose={() => (shown.value = null)}
        />
      )}
      {deleting.value && (
        <Confirm
          title="Delete this webhook?"
          action="Delete"
          onClose={() => (deleting.value = null)}
          onConfirm={() => void act("Webhook deleted", () => runyard().webhooks.delete(deleting.peek()!.webhookId))}
        >
          <p>{deleting.value.url} no longer receives events. Its delivery log is deleted too.</p>
        </Confirm>
      )}
    </div>
  );
}

function State({ webhook }: { webhook: Webhook }) {
  if (!webhook.enabled) return <p class="small">Disabled{webhook.disabledReason && `: ${webhook.disabledReason}`}</p>;
  return (
    <>
      {webhook.consecutiveFailures > 0 && (
        <p class="small">The receiver does not answer: {counted(webhook.consecutiveFailures, "failed attempt")} in a row.</p>
      )}
      {webhook.earlierSecretExpiresAt && (
        <p class="small dim">The earlier secret is valid until {dayAndTime(webhook.earlierSecretExpiresAt)}.</p>
      )}
    </>
  );
}

function Editor({ webhook, onClose, onSaved }: { webhook: Webhook | null; onClose: () => void; onSaved: (webhook: Webhook) => void }) {
  const url = useSignal(webhook?.url ?? "");
  const events = useSignal<readonly string[]>(webhook?.events ?? EVENTS);
  const save = async () => {
    const fields = { url: url.value.trim(), events: [...events.value] };
    onSaved(webhook ? await runyard().webhooks.update(webhook.webhookId, fields) : await runyard().webhooks.create(fields));
  };
  return (
    <EditorDialog title={webhook ? "Edit webhook" : "New webhook"} action={webhook ? "Save" : "Create webhook"} canSave={events.value.length > 0} onSave={save} onClose={onClose}>
      <TextField label="URL" hint="It receives POST requests with a JSON body." type="url" placeholder="https://" text={url} />
      <fieldset>
        <legend>Events</legend>
        {EVENTS.map((name) => (
          <label key={name} class="check">
            <input
              type="checkbox"
              checked={events.value.includes(name)}
              onChange={(event) => {
                const others = events.value.filter((other) => other !== name);
                events.value = event.currentTarget.checked ? [...others, name] : others;
              }}
            />
            <span>{name}</span>
          </label>
        ))}
      </fieldset>
    </EditorDialog>
  );
}
