// Webhooks: signed requests that tell other programs about runs.

import type { CallOptions, Channel } from "./channel.js";
import {
  UpdateWebhookRequestSchema,
  WebhookService,
  type CreateWebhookRequest,
  type ListWebhookDeliveriesRequest,
  type ListWebhooksRequest,
  type Webhook as WireWebhook,
  type WebhookDelivery as WireDelivery,
} from "./generated/runyard/v1/webhooks_pb.js";
import { maskOf } from "./mask.js";
import { Listing } from "./pages.js";
import type { Input, Plain } from "./plain.js";

/** A URL that receives events. */
export interface Webhook extends Plain<WireWebhook> {}

/** The delivery of one event to one webhook. */
export interface WebhookDelivery extends Plain<WireDelivery> {}

export interface WebhookChanges {
  url?: string;
  events?: readonly string[];
  enabled?: boolean;
}

export class Webhooks {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Creates a webhook. The answer contains the signing secret. */
  create(webhook: Input<CreateWebhookRequest> & { url: string }, options?: CallOptions): Promise<Webhook> {
    return this.#channel.call(WebhookService.method.createWebhook, webhook, options);
  }

  get(webhookId: string, options?: CallOptions): Promise<Webhook> {
    return this.#channel.callSafely(WebhookService.method.getWebhook, { webhookId }, options);
  }

  /** Lists webhooks, newest first. */
  list(query: Input<ListWebhooksRequest> & CallOptions = {}): Listing<Webhook> {
    const { signal, timeoutMs, ...fields } = query;
    return new Listing(async (pageToken = fields.pageToken) => {
      const request = { ...fields, pageToken };
      const page = await this.#channel.callSafely(WebhookService.method.listWebhooks, request, { signal, timeoutMs });
      return { items: page.webhooks, nextPageToken: page.nextPageToken };
    });
  }

  update(webhookId: string, changes: WebhookChanges, options?: CallOptions): Promise<Webhook> {
    const request = { ...changes, webhookId, updateMask: maskOf(UpdateWebhookRequestSchema, changes) };
    return this.#channel.call(WebhookService.method.updateWebhook, request, options);
  }

  async delete(webhookId: string, options?: CallOptions): Promise<void> {
    await this.#channel.call(WebhookService.method.deleteWebhook, { webhookId }, options);
  }

  /** Creates a new signing secret, which the answer contains. The earlier one stays valid for 24 hours. */
  rotateSecret(webhookId: string, options?: CallOptions): Promise<Webhook> {
    return this.#channel.call(WebhookService.method.rotateWebhookSecret, { webhookId }, options);
  }

  /** Sends the event webhook.test. */
  test(webhookId: string, options?: CallOptions): Promise<WebhookDelivery> {
    return this.#channel.call(WebhookService.method.testWebhook, { webhookId }, options);
  }

  /** Lists deliveries, newest first. */
  deliveries(
    webhookId: string,
    query: Omit<Input<ListWebhookDeliveriesRequest>, "webhookId"> & CallOptions = {},
  ): Listing<WebhookDelivery> {
    const { signal, timeoutMs, ...fields } = query;
    return new Listing(async (pageToken = fields.pageToken) => {
      const request = { ...fields, webhookId, pageToken };
      const method = WebhookService.method.listWebhookDeliveries;
      const page = await this.#channel.callSafely(method, request, { signal, timeoutMs });
      return { items: page.deliveries, nextPageToken: page.nextPageToken };
    });
  }

  /** Sends a finished delivery again, with the same webhook-id. */
  redeliver(webhookId: string, deliveryId: string, options?: CallOptions): Promise<WebhookDelivery> {
    return this.#channel.call(WebhookService.method.redeliverWebhookDelivery, { webhookId, deliveryId }, options);
  }
}
