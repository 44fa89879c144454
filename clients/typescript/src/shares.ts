// Shares: links with which everybody can read a thread.

import type { CallOptions, Channel } from "./channel.js";
import {
  ShareService,
  type CreateShareRequest,
  type CreateShareResponse,
  type ListSharesRequest,
  type Share as WireShare,
  type SharedMessage as WireMessage,
  type SharedThread as WireThread,
} from "./generated/runyard/v1/shares_pb.js";
import { Listing } from "./pages.js";
import type { Input, Plain } from "./plain.js";

/** The permission to read a thread, for everybody who has its token. */
export interface Share extends Plain<WireShare> {}
/** A new share with its token, which the server returns only once. */
export interface NewShare extends Plain<CreateShareResponse> {}
/** The parts of a thread that a reader of a share sees. */
export interface SharedThread extends Plain<WireThread> {}
/** The parts of a message that a reader of a share sees. */
export interface SharedMessage extends Plain<WireMessage> {}

export class Shares {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Creates a share of a thread. Only this response contains the token. */
  create(threadId: string, share: Omit<Input<CreateShareRequest>, "threadId"> = {}, options?: CallOptions): Promise<NewShare> {
    return this.#channel.call(ShareService.method.createShare, { ...share, threadId }, options);
  }

  /** Lists the shares of the account or of a thread, newest first. */
  list(query: Input<ListSharesRequest> & CallOptions = {}): Listing<Share> {
    const { signal, timeoutMs, ...fields } = query;
    return new Listing(async (pageToken = fields.pageToken) => {
      const request = { ...fields, pageToken };
      const page = await this.#channel.callSafely(ShareService.method.listShares, request, { signal, timeoutMs });
      return { items: page.shares, nextPageToken: page.nextPageToken };
    });
  }

  /** Revokes a share. Its token stops working immediately. */
  async revoke(shareId: string, options?: CallOptions): Promise<void> {
    await this.#channel.call(ShareService.method.revokeShare, { shareId }, options);
  }

  /** Returns a shared thread. A client with the token "" can call this, too. */
  getThread(token: string, options?: CallOptions): Promise<SharedThread> {
    return this.#channel.callSafely(ShareService.method.getSharedThread, { token }, options);
  }

  /** Lists the messages of a shared thread, oldest first. A client with the token "" can call this, too. */
  listMessages(token: string, query: { pageSize?: number; pageToken?: string } & CallOptions = {}): Listing<SharedMessage> {
    const { signal, timeoutMs, pageSize, pageToken: first } = query;
    return new Listing(async (pageToken = first) => {
      const request = { token, pageSize, pageToken };
      const page = await this.#channel.callSafely(ShareService.method.listSharedMessages, request, { signal, timeoutMs });
      return { items: page.messages, nextPageToken: page.nextPageToken };
    });
  }
}
