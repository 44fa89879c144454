// Threads and their messages.

import type { CallOptions, Channel } from "./channel.js";
import {
  ThreadService,
  UpdateThreadRequestSchema,
  type AddMessageRequest,
  type CreateThreadRequest,
  type ListThreadsRequest,
  type Message as WireMessage,
  type Thread as WireThread,
  type ThreadMatch as WireThreadMatch,
} from "./generated/runyard/v1/threads_pb.js";
import { maskOf } from "./mask.js";
import { Listing } from "./pages.js";
import type { Input, Plain } from "./plain.js";

/** A conversation in a project. It consists of messages and runs. */
export interface Thread extends Plain<WireThread> {}
/** The place in a thread at which a search has found its words. */
export interface ThreadMatch extends Plain<WireThreadMatch> {}
/** A message of a thread, with its tool calls or files. */
export interface ThreadMessage extends Plain<WireMessage> {}

export class Threads {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Creates an empty thread, by default in a new project. */
  create(thread: Input<CreateThreadRequest> = {}, options?: CallOptions): Promise<Thread> {
    return this.#channel.call(ThreadService.method.createThread, thread, options);
  }

  get(threadId: string, options?: CallOptions): Promise<Thread> {
    return this.#channel.callSafely(ThreadService.method.getThread, { threadId }, options);
  }

  /**
   * Lists the caller's threads, most recently active first. With `search`, a page may have fewer threads than `pageSize`,
   * even none, although it has a `nextPageToken`.
   */
  list(query: Input<ListThreadsRequest> & CallOptions = {}): Listing<Thread> {
    const { signal, timeoutMs, ...fields } = query;
    return new Listing(async (pageToken = fields.pageToken) => {
      const request = { ...fields, pageToken };
      const page = await this.#channel.callSafely(ThreadService.method.listThreads, request, { signal, timeoutMs });
      return { items: page.threads, nextPageToken: page.nextPageToken };
    });
  }

  /** Renames a thread. Null clears the name. */
  update(threadId: string, changes: { name?: string | null }, options?: CallOptions): Promise<Thread> {
    const request = { ...changes, threadId, updateMask: maskOf(UpdateThreadRequestSchema, changes) };
    return this.#channel.call(ThreadService.method.updateThread, request, options);
  }

  /**
   * Asks a model for a name that says what the thread is about. A name that a caller chose stays. If a model is called,
   * the call is charged.
   */
  suggestTitle(threadId: string, options?: CallOptions): Promise<Thread> {
    return this.#channel.call(ThreadService.method.suggestThreadTitle, { threadId }, options);
  }

  /** Deletes a thread, its messages and its runs. */
  async delete(threadId: string, options?: CallOptions): Promise<void> {
    await this.#channel.call(ThreadService.method.deleteThread, { threadId }, options);
  }

  /** Lists the messages of a thread, oldest first. */
  listMessages(
    threadId: string,
    query: { pageSize?: number; pageToken?: string } & CallOptions = {},
  ): Listing<ThreadMessage> {
    const { signal, timeoutMs, pageSize, pageToken: first } = query;
    return new Listing(async (pageToken = first) => {
      const request = { threadId, pageSize, pageToken };
      const page = await this.#channel.callSafely(ThreadService.method.listMessages, request, { signal, timeoutMs });
      return { items: page.messages, nextPageToken: page.nextPageToken };
    });
  }

  /** Adds a message without starting a run. */
  addMessage(
    threadId: string,
    message: Omit<Input<AddMessageRequest>, "threadId"> & { content: string },
    options?: CallOptions,
  ): Promise<ThreadMessage> {
    return this.#channel.call(ThreadService.method.addMessage, { ...message, threadId }, options);
  }
}
