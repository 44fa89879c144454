// The account's webhooks: creation, settings and secrets. `parts/deliveries.tsx` shows the delivery log.
import { Plus, Webhook as WebhookIcon } from "lucide";
import { useSignal } from "@preact/signals";
import type { Webhook } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { explainError } from "../errors";
import { Confirm, Dialog, Empty, Field, Note, RefusalNote, Spinner } from "../parts/basic";
import { CopyButton } from "../parts/copy";
import { Deliveries } from "../parts/deliveries";
import { Icon } from "../parts/icon";
import { announce } from "../stores/announce";
import { loadDeliveries, loadWebhooks, webhooks } from "../stores/webhooks";
import { counted, dayAndTime } from "../view/format";
import type { Explained } from "../view/refusal";

const EVENTS = ["run.completed", "run.failed", "run.stopped", "run.waiting"] as const;

export function Webhooks() {
  const creating = useSignal(false);
  const shown = useSignal<Webhook | null>(null);
  const open = useSignal<string | null>(null);
  const deleting = useSignal<Webhook | null>(null);
  const refused = useSignal<Explained | null>(null);
  useEffect(() => {
    document.title = "Webhooks · Runyard";
    void loadWebhooks();
  }, []);
  const { value, refused: notLoaded, loading } = webhooks.state.value;
  const act = async (what: string, action: () => Promise<unknown>) => {
    refused.value = null;
    try {
      await action();
      announce(what);
      await loadWebhooks();
    } catch (error) {
      refused.value = explainError(error);
    }
  };
  return (
    <div class="page page-wide">
      <div class="page-head">
        <h1>Webhooks</h1>
        <button type="button" class="button button-primary push" onClick={() => (creating.value = true)}>
          <Icon of={Plus} size={17} />
          New webhook
        </button>
      </div>
      {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
      {notLoaded && <RefusalNote explained={notLoaded} onAgain={() => void loadWebhooks()} />}
      {!value && loading && <Spinner label="Loading webhooks" />}
      {value?.length === 0 && (
        <Empty title="No webhooks yet">
          <p>A webhook is a URL that receives a signed request when a run completes, fails, is stopped or waits for input.</p>
        </Empty>
      )}
      <ul class="keys" aria-label="Webhooks">
        {value?.map((webhook) => (
          <li key={webhook.webhookId} class={webhook.enabled ? "key" : "key key-over"}>
            <Icon of={WebhookIcon} size={17} />
            <div>
              <strong>{webhook.url}</strong>
              <p class="small dim">{webhook.events.join(", ")}</p>
              <State webhook={webhook} />
              <div class="dialog-actions">
                <button
                  type="button"
                  class="button button-small"
                  aria-expanded={open.value === webhook.webhookId}
                  onClick={() => (open.value = open.value === webhook.webhookId ? null : webhook.webhookId)}
                >
                  Deliveries
                </button>
                <button
                  type="button"
                  class="button button-small"
                  disabled={!webhook.enabled}
                  onClick={() =>
                    void act("Test queued", async () => {
                      await runyard().webhooks.test(webhook.webhookId);
                      open.value = webhook.webhookId;
                      await loadDeliveries(webhook.webhookId);
                    })
                  }
                >
                  Send a test
                </button>
                <button
                  type="button"
                  class="button button-small"
                  onClick={() =>
                    void act(webhook.enabled ? "Disabled" : "Enabled", () =>
                      runyard().webhooks.update(webhook.webhookId, { enabled: !webhook.enabled }),
                    )
                  }
                >
                  {webhook.enabled ? "Disable" : "Enable"}
                </button>
                <button
                  type="button"
                  class="button button-small"
                  onClick={() =>
                    void act("Secret rotated", async () => {
                      shown.value = await runyard().webhooks.rotateSecret(webhook.webhookId);
                    })
                  }
                >
                  Rotate secret
                </button>
                <button type="button" class="button button-small" onClick={() => (deleting.value = webhook)}>
                  Delete
                </button>
              </div>
              {open.value === webhook.webhookId && <Deliveries webhook={webhook} />}
            </div>
          </li>
        ))}
      </ul>
      {creating.value && (
        <NewWebhook
          onClose={() => (creating.value = false)}
          onCreated={(webhook) => {
            creating.value = false;
            shown.value = webhook;
            void loadWebhooks();
          }}
        />
      )}
      {shown.value?.secret && (
        <Dialog title="Signing secret" onClose={() => (shown.value = null)}>
          <div class="dialog-text">
            <Note kind="warning">Copy the secret now. It is shown only once. The receiver verifies signatures with it.</Note>
            <div class="secret">
              <input class="code" readOnly aria-label="Signing secret" value={shown.value.secret} onFocus={(event) => event.currentTarget.select()} />
              <CopyButton text={shown.value.secret} what="the secret" label />
            </div>
          </div>
        </Dialog>
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

function NewWebhook({ onClose, onCreated }: { onClose: () => void; onCreated: (webhook: Webhook) => void }) {
  const url = useSignal("");
  const events = useSignal<readonly string[]>(EVENTS);
  const refused = useSignal<Explained | null>(null);
  return (
    <Dialog title="New webhook" onClose={onClose}>
      <form
        class="dialog-text"
        onSubmit={async (event) => {
          event.preventDefault();
          try {
            onCreated(await runyard().webhooks.create({ url: url.value.trim(), events: [...events.value] }));
          } catch (error) {
            refused.value = explainError(error);
          }
        }}
      >
        {refused.value && <RefusalNote explained={refused.value} />}
        <Field label="URL" hint="It receives POST requests with a JSON body.">
          <input required type="url" value={url.value} placeholder="https://" onInput={(event) => (url.value = event.currentTarget.value)} />
        </Field>
        <fieldset>
          <legend>Events</legend>
          {EVENTS.map((name) => (
            <label key={name}>
              <input
                type="checkbox"
                checked={events.value.includes(name)}
                onChange={(event) => {
                  const others = events.value.filter((other) => other !== name);
                  events.value = event.currentTarget.checked ? [...others, name] : others;
                }}
              />{" "}
              {name}
            </label>
          ))}
        </fieldset>
        <div class="dialog-actions">
          <button type="submit" class="button button-primary" disabled={events.value.length === 0}>
            Create webhook
          </button>
        </div>
      </form>
    </Dialog>
  );
}
