// Triggers: addresses that start a run when they receive an HTTP request.

import type { CallOptions, Channel } from "./channel.js";
import {
  TriggerService,
  UpdateTriggerRequestSchema,
  type CreateTriggerRequest,
  type ListTriggersRequest,
  type Trigger as WireTrigger,
} from "./generated/runyard/v1/triggers_pb.js";
import { maskOf } from "./mask.js";
import { Listing } from "./pages.js";
import type { Input, Plain } from "./plain.js";

/** An address that starts a run when it receives a request. */
export interface Trigger extends Plain<WireTrigger> {}

export interface TriggerChanges {
  name?: string;
  prompt?: string;
  agentId?: string;
  threadId?: string;
  modelName?: string;
  mode?: string;
  enabled?: boolean;
}

export class Triggers {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Creates a trigger. The answer contains the secret. */
  create(trigger: Input<CreateTriggerRequest> & { name: string; prompt: string }, options?: CallOptions): Promise<Trigger> {
    return this.#channel.call(TriggerService.method.createTrigger, trigger, options);
  }

  get(triggerId: string, options?: CallOptions): Promise<Trigger> {
    return this.#channel.callSafely(TriggerService.method.getTrigger, { triggerId }, options);
  }

  /** Lists triggers, newest first. */
  list(query: Input<ListTriggersRequest> & CallOptions = {}): Listing<Trigger> {
    const { signal, timeoutMs, ...fields } = query;
    return new Listing(async (pageToken = fields.pageToken) => {
      const request = { ...fields, pageToken };
      const page = await this.#channel.callSafely(TriggerService.method.listTriggers, request, { signal, timeoutMs });
      return { items: page.triggers, nextPageToken: page.nextPageToken };
    });
  }

  update(triggerId: string, changes: TriggerChanges, options?: CallOptions): Promise<Trigger> {
    const request = { ...changes, triggerId, updateMask: maskOf(UpdateTriggerRequestSchema, changes) };
    return this.#channel.call(TriggerService.method.updateTrigger, request, options);
  }

  async delete(triggerId: string, options?: CallOptions): Promise<void> {
    await this.#channel.call(TriggerService.method.deleteTrigger, { triggerId }, options);
  }

  /** Creates a new secret, which the answer contains. The earlier one stays valid for 24 hours. */
  rotateSecret(triggerId: string, options?: CallOptions): Promise<Trigger> {
    return this.#channel.call(TriggerService.method.rotateTriggerSecret, { triggerId }, options);
  }
}
