// The delivery log of a webhook.
import { useSignal } from "@preact/signals";
import type { Webhook, WebhookDelivery } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { explainError } from "../errors";
import { announce } from "../stores/announce";
import { deliveries, loadDeliveries, loadMoreDeliveries, moreDeliveries } from "../stores/webhooks";
import { counted, dayAndTime, duration, excerpt } from "../view/format";
import type { Explained } from "../view/refusal";
import { RefusalNote, Spinner } from "./basic";
import { ShowMore } from "./managed";

const REFRESH_MS = 3_000;

export function Deliveries({ webhook }: { webhook: Webhook }) {
  const refused = useSignal<Explained | null>(null);
  const { webhookId } = webhook;
  useEffect(() => {
    deliveries.clear();
    void loadDeliveries(webhookId);
    // Only the first page is refreshed, while one of its deliveries is pending.
    const timer = setInterval(() => {
      const first = deliveries.value ?? [];
      if (first.length <= 50 && first.some((delivery) => delivery.status === "pending")) void loadDeliveries(webhookId);
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [webhookId]);
  const { value, refused: notLoaded, loading } = deliveries.state.value;
  const redeliver = async (delivery: WebhookDelivery) => {
    try {
      await runyard().webhooks.redeliver(webhookId, delivery.deliveryId);
      announce("Queued again");
      await loadDeliveries(webhookId);
    } catch (error) {
      refused.value = explainError(error);
    }
  };
  return (
    <section aria-label="Deliveries">
      {(refused.value ?? notLoaded) && <RefusalNote explained={(refused.value ?? notLoaded)!} onClose={() => (refused.value = null)} />}
      {!value && loading && <Spinner label="Loading deliveries" />}
      {value?.length === 0 && <p class="small dim">No deliveries yet.</p>}
      <ul class="keys">
        {value?.map((delivery) => (
          <li key={delivery.deliveryId} class="key">
            <div>
              <strong>{delivery.event}</strong> <span class="tag">{delivery.status}</span>
              <p class="small dim">
                {delivery.createdAt && dayAndTime(delivery.createdAt)} · {counted(delivery.attempts, "attempt")}
                {delivery.responseStatus !== undefined && ` · status ${delivery.responseStatus}`}
                {delivery.durationMs !== undefined && ` · ${duration(delivery.durationMs)}`}
                {delivery.nextAttemptAt && delivery.attempts > 0 && ` · next attempt ${dayAndTime(delivery.nextAttemptAt)}`}
              </p>
              {delivery.error && <p class="small">{delivery.error}</p>}
              {delivery.response && <code class="small">{excerpt(delivery.response, 200)}</code>}
            </div>
            {delivery.status !== "pending" && (
              <button type="button" class="button button-small push" aria-label={`Send ${delivery.event} again`} onClick={() => void redeliver(delivery)}>
                Send again
              </button>
            )}
          </li>
        ))}
      </ul>
      <ShowMore token={moreDeliveries.value} loading={loading} onClick={() => void loadMoreDeliveries(webhookId)} />
    </section>
  );
}
