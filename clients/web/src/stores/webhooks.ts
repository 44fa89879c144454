// The webhooks of the account, and the deliveries of the open one.
import { signal } from "@preact/signals";
import type { Webhook, WebhookDelivery } from "@runyard/client";
import { runyard } from "../client";
import { Loadable } from "./loaded";

const MAX_WEBHOOKS = 200;
const PAGE = 50;

/** Newest first. */
export const webhooks = new Loadable<readonly Webhook[]>();
/** Deliveries of one webhook, newest first. */
export const deliveries = new Loadable<readonly WebhookDelivery[]>();
/** The token of the next page; empty when all deliveries are loaded. */
export const moreDeliveries = signal("");

export function loadWebhooks(): Promise<void> {
  return webhooks.load(() => runyard().webhooks.list({ pageSize: MAX_WEBHOOKS }).all(MAX_WEBHOOKS));
}

export function loadDeliveries(webhookId: string): Promise<void> {
  return deliveries.load(async () => {
    const page = await runyard().webhooks.deliveries(webhookId, { pageSize: PAGE });
    moreDeliveries.value = page.nextPageToken;
    return page.items;
  });
}

export function loadMoreDeliveries(webhookId: string): Promise<void> {
  const before = deliveries.state.peek().value ?? [];
  return deliveries.load(async () => {
    const page = await runyard().webhooks.deliveries(webhookId, { pageSize: PAGE, pageToken: moreDeliveries.peek() });
    moreDeliveries.value = page.nextPageToken;
    return [...before, ...page.items];
  });
}
