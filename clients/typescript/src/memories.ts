// Memories: facts that agents keep across threads.

import type { CallOptions, Channel } from "./channel.js";
import {
  MemoryService,
  UpdateMemoryRequestSchema,
  type CreateMemoryRequest,
  type ListMemoriesRequest,
  type Memory as WireMemory,
} from "./generated/runyard/v1/memories_pb.js";
import { maskOf } from "./mask.js";
import { Listing } from "./pages.js";
import type { Input, Plain } from "./plain.js";

/** A fact that an agent, or the account, keeps across threads. */
export interface Memory extends Plain<WireMemory> {}

export class Memories {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Creates a memory. Without `agentId`, the memory belongs to the account. */
  create(memory: Input<CreateMemoryRequest> & { text: string }, options?: CallOptions): Promise<Memory> {
    return this.#channel.call(MemoryService.method.createMemory, memory, options);
  }

  get(memoryId: string, options?: CallOptions): Promise<Memory> {
    return this.#channel.callSafely(MemoryService.method.getMemory, { memoryId }, options);
  }

  /** Lists memories: latest change first or, with `search`, best match first. */
  list(query: Input<ListMemoriesRequest> & CallOptions = {}): Listing<Memory> {
    const { signal, timeoutMs, ...fields } = query;
    return new Listing(async (pageToken = fields.pageToken) => {
      const request = { ...fields, pageToken };
      const page = await this.#channel.callSafely(MemoryService.method.listMemories, request, { signal, timeoutMs });
      return { items: page.memories, nextPageToken: page.nextPageToken };
    });
  }

  /** Replaces the text of a memory. */
  update(memoryId: string, changes: { text?: string }, options?: CallOptions): Promise<Memory> {
    const request = { ...changes, memoryId, updateMask: maskOf(UpdateMemoryRequestSchema, changes) };
    return this.#channel.call(MemoryService.method.updateMemory, request, options);
  }

  async delete(memoryId: string, options?: CallOptions): Promise<void> {
    await this.#channel.call(MemoryService.method.deleteMemory, { memoryId }, options);
  }
}
