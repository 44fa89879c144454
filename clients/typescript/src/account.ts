// The caller's own account: credits, limits, usage and API keys.

import type { CallOptions, Door } from "./door.js";
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

/** Credits, tier, limits and models. */
export interface AccountState extends Plain<WireState> {}
/** One charge. */
export interface UsageEntry extends Plain<WireUsage> {}
/** An API key, without its secret. */
export interface ApiKey extends Plain<WireKey> {}
/** A new API key with its secret, which is shown this once. */
export interface NewApiKey extends Plain<CreateApiKeyResponse> {}

export class Account {
  readonly #door: Door;

  constructor(door: Door) {
    this.#door = door;
  }

  /** The caller's credits, tier, limits and models. */
  state(options?: CallOptions): Promise<AccountState> {
    return this.#door.callSafely(AccountService.method.getAccountState, {}, options);
  }

  /** What was charged, newest first. */
  usage(query: Input<ListUsageRequest> & CallOptions = {}): Listing<UsageEntry> {
    const { signal, timeoutMs, ...asked } = query;
    return new Listing(async (pageToken = asked.pageToken) => {
      const request = { ...asked, pageToken };
      const page = await this.#door.callSafely(AccountService.method.listUsage, request, { signal, timeoutMs });
      return { items: page.entries, nextPageToken: page.nextPageToken };
    });
  }
}

export class ApiKeys {
  readonly #door: Door;

  constructor(door: Door) {
    this.#door = door;
  }

  /** Creates an API key; its secret is shown this once. */
  create(key: Input<CreateApiKeyRequest> & { name: string }, options?: CallOptions): Promise<NewApiKey> {
    return this.#door.call(AccountService.method.createApiKey, key, options);
  }

  /** The caller's API keys. */
  list(query: { pageSize?: number; pageToken?: string } & CallOptions = {}): Listing<ApiKey> {
    const { signal, timeoutMs, pageSize, pageToken: first } = query;
    return new Listing(async (pageToken = first) => {
      const request = { pageSize, pageToken };
      const page = await this.#door.callSafely(AccountService.method.listApiKeys, request, { signal, timeoutMs });
      return { items: page.apiKeys, nextPageToken: page.nextPageToken };
    });
  }

  /** Ends an API key at once. */
  revoke(keyId: string, options?: CallOptions): Promise<ApiKey> {
    return this.#door.callSafely(AccountService.method.revokeApiKey, { keyId }, options);
  }
}
