// The caller's account: credits, limits, usage and API keys.

import type { CallOptions, Channel } from "./channel.js";
import {
  AccountService,
  type AccountState as WireState,
  type ApiKey as WireKey,
  type CreateApiKeyRequest,
  type CreateApiKeyResponse,
  type ListUsageRequest,
  type UsageEntry as WireUsage,
} from "./generated/runyard/v1/accounts_pb.js";
import { Listing } from "./pages.js";
import type { Input, Plain } from "./plain.js";

export interface AccountState extends Plain<WireState> {}
/** One model call with its tokens and cost. */
export interface UsageEntry extends Plain<WireUsage> {}
/** An API key, without its secret. */
export interface ApiKey extends Plain<WireKey> {}
/** A new API key with its secret, which the server returns only once. */
export interface NewApiKey extends Plain<CreateApiKeyResponse> {}

export class Account {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Returns the caller's credits, tier, limits and models. */
  state(options?: CallOptions): Promise<AccountState> {
    return this.#channel.callSafely(AccountService.method.getAccountState, {}, options);
  }

  /** Lists model calls with their cost, newest first. */
  usage(query: Input<ListUsageRequest> & CallOptions = {}): Listing<UsageEntry> {
    const { signal, timeoutMs, ...fields } = query;
    return new Listing(async (pageToken = fields.pageToken) => {
      const request = { ...fields, pageToken };
      const page = await this.#channel.callSafely(AccountService.method.listUsage, request, { signal, timeoutMs });
      return { items: page.entries, nextPageToken: page.nextPageToken };
    });
  }
}

export class ApiKeys {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Creates an API key. Only this response contains the secret. */
  create(key: Input<CreateApiKeyRequest> & { name: string }, options?: CallOptions): Promise<NewApiKey> {
    return this.#channel.call(AccountService.method.createApiKey, key, options);
  }

  list(query: { pageSize?: number; pageToken?: string } & CallOptions = {}): Listing<ApiKey> {
    const { signal, timeoutMs, pageSize, pageToken: first } = query;
    return new Listing(async (pageToken = first) => {
      const request = { pageSize, pageToken };
      const page = await this.#channel.callSafely(AccountService.method.listApiKeys, request, { signal, timeoutMs });
      return { items: page.apiKeys, nextPageToken: page.nextPageToken };
    });
  }

  revoke(keyId: string, options?: CallOptions): Promise<ApiKey> {
    return this.#channel.callSafely(AccountService.method.revokeApiKey, { keyId }, options);
  }
}
