// The client for one server and one token.

import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { Account, ApiKeys } from "./account.js";
import { Agents } from "./agents.js";
import { Channel, type CallOptions, type Token } from "./channel.js";
import { invalid } from "./error.js";
import { Feed, type OnConnection } from "./follow.js";
import { Inputs } from "./inputs.js";
import { Memories } from "./memories.js";
import { Projects } from "./projects.js";
import { Runs } from "./runs.js";
import { Sandboxes } from "./sandboxes.js";
import { Schedules } from "./schedules.js";
import { Secrets } from "./secrets.js";
import { Shares } from "./shares.js";
import { Skills } from "./skills.js";
import { Threads } from "./threads.js";
import { Triggers } from "./triggers.js";
import { Uploads } from "./uploads.js";
import { Webhooks } from "./webhooks.js";

export interface RunyardOptions {
  /** URL of the server, which may have a path prefix. In a browser, the page's origin by default. */
  baseUrl?: string | undefined;
  /**
   * A token or API key, or a function that returns one. Without it, calls fail, unless `fetch` adds one. An empty
   * string sends no credential, for a proxy that adds one.
   */
  token?: Token | undefined;
  /** Timeout of one attempt of a call in milliseconds; 30,000 by default. Streams have no timeout. */
  timeoutMs?: number | undefined;
  /**
   * Maximum number of retries of a call; 4 by default. Only calls that are safe to repeat are retried. If it is set, it
   * also limits the retries of a stream without new events.
   */
  maxRetries?: number | undefined;
  /** Headers that are added to each request. */
  headers?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds for which a stream tries to reconnect to an unavailable server; 5 minutes by default. */
  reconnectForMs?: number | undefined;
  /** Milliseconds without data after which the client reopens a stream; one minute by default. */
  silenceMs?: number | undefined;
  /** Called when a stream connects or disconnects. */
  onConnection?: OnConnection | undefined;
  /** Replaces the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
}

export class Runyard {
  readonly agents: Agents;
  readonly inputs: Inputs;
  readonly threads: Threads;
  readonly memories: Memories;
  readonly projects: Projects;
  readonly runs: Runs;
  readonly sandboxes: Sandboxes;
  readonly uploads: Uploads;
  readonly skills: Skills;
  readonly schedules: Schedules;
  readonly triggers: Triggers;
  readonly secrets: Secrets;
  readonly shares: Shares;
  readonly webhooks: Webhooks;
  readonly account: Account;
  readonly apiKeys: ApiKeys;
  readonly #channel: Channel;
  readonly #feed: Feed;

  constructor(options: RunyardOptions = {}) {
    const baseUrl = options.baseUrl ?? pageOrigin();
    if (baseUrl === undefined) {
      throw invalid("baseUrl is required: set it to the address of the server");
    }
    this.#channel = new Channel({
      baseUrl,
      token: options.token,
      timeoutMs: options.timeoutMs ?? 30_000,
      maxRetries: checkedRetries(options.maxRetries) ?? 4,
      headers: options.headers ?? {},
      fetch: options.fetch,
    });
    this.#feed = new Feed(this.#channel, {
      reconnectForMs: options.reconnectForMs ?? 300_000,
      maxRetries: options.maxRetries ?? Infinity,
      silenceMs: options.silenceMs ?? 60_000,
      onConnection: options.onConnection,
    });
    this.uploads = new Uploads(this.#channel);
    this.sandboxes = new Sandboxes(this.#channel, this.uploads);
    this.runs = new Runs(this.#channel, this.#feed, this.sandboxes);
    this.agents = new Agents(this.#channel, this.#feed, this.uploads, this.sandboxes);
    this.inputs = new Inputs(this.#channel);
    this.skills = new Skills(this.#channel, this.uploads);
    this.threads = new Threads(this.#channel);
    this.memories = new Memories(this.#channel);
    this.schedules = new Schedules(this.#channel);
    this.triggers = new Triggers(this.#channel);
    this.secrets = new Secrets(this.#channel);
    this.shares = new Shares(this.#channel);
    this.webhooks = new Webhooks(this.#channel);
    this.projects = new Projects(this.#channel);
    this.account = new Account(this.#channel);
    this.apiKeys = new ApiKeys(this.#channel);
  }

  /** Calls a unary method with protobuf messages. "@runyard/client/proto" exports the services. */
  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): Promise<MessageShape<O>> {
    return this.#channel.ask(method, create(method.input, request), options);
  }

  /** Closes all streams. Their readers get an error. */
  close(): void {
    this.#feed.close();
  }
}

function checkedRetries(given: number | undefined): number | undefined {
  if (given !== undefined && !(given >= 0)) {
    throw invalid("maxRetries must be 0 or a positive number");
  }
  return given;
}

function pageOrigin(): string | undefined {
  const { location } = globalThis as { location?: { origin?: string } };
  return location?.origin?.startsWith("http") ? location.origin : undefined;
}
