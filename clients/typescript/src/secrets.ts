// Secrets: named, write-only values that agents use.

import type { CallOptions, Channel } from "./channel.js";
import {
  SecretService,
  UpdateSecretRequestSchema,
  type CreateSecretRequest,
  type ListSecretsRequest,
  type Secret as WireSecret,
} from "./generated/runyard/v1/secrets_pb.js";
import { maskOf } from "./mask.js";
import { Listing } from "./pages.js";
import type { Input, Plain } from "./plain.js";

/** A named value. It does not contain the value itself. */
export interface Secret extends Plain<WireSecret> {}

export interface SecretChanges {
  value?: string;
  hosts?: readonly string[];
}

export class Secrets {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  create(secret: Input<CreateSecretRequest> & { name: string; value: string }, options?: CallOptions): Promise<Secret> {
    return this.#channel.call(SecretService.method.createSecret, secret, options);
  }

  /** Lists secrets without their values, newest first. */
  list(query: Input<ListSecretsRequest> & CallOptions = {}): Listing<Secret> {
    const { signal, timeoutMs, ...fields } = query;
    return new Listing(async (pageToken = fields.pageToken) => {
      const request = { ...fields, pageToken };
      const page = await this.#channel.callSafely(SecretService.method.listSecrets, request, { signal, timeoutMs });
      return { items: page.secrets, nextPageToken: page.nextPageToken };
    });
  }

  update(secretId: string, changes: SecretChanges, options?: CallOptions): Promise<Secret> {
    const request = { ...changes, secretId, updateMask: maskOf(UpdateSecretRequestSchema, changes) };
    return this.#channel.call(SecretService.method.updateSecret, request, options);
  }

  async delete(secretId: string, options?: CallOptions): Promise<void> {
    await this.#channel.call(SecretService.method.deleteSecret, { secretId }, options);
  }
}
