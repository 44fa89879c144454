// Calls the server over gRPC-Web. Adds the token and a timeout, and retries calls that are safe to repeat.

import type { DescMessage, DescMethodServerStreaming, DescMethodUnary, MessageShape } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { backoffMs, sleep } from "./backoff.js";
import { fromTransport, invalid, isPassing, RunyardError } from "./error.js";
import { fromPlain, toPlain, type Plain } from "./plain.js";

/**
 * A token, or a function that returns one. The function is called before every call, and again after the server
 * rejected a token.
 */
export type Token = string | (() => string | Promise<string>);

export interface CallOptions {
  /** Aborts the call. Like `fetch`, the call then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Timeout of one attempt in milliseconds. Overrides the client's timeout. */
  timeoutMs?: number | undefined;
}

/** The options of `Runyard` that affect calls, with defaults applied. */
export interface ChannelOptions {
  baseUrl: string;
  token: Token | undefined;
  timeoutMs: number;
  maxRetries: number;
  headers: Readonly<Record<string, string>>;
  fetch: typeof globalThis.fetch | undefined;
}

/** A streamed response: its headers, and its messages as they arrive. */
export interface Incoming<M> {
  header: Headers;
  messages: AsyncIterable<M>;
}

export class Channel {
  readonly baseUrl: string;
  readonly #transport: Transport;
  readonly #token: Token | undefined;
  /** A caller's own `fetch` may add a credential. */
  readonly #needsToken: boolean;
  readonly #timeoutMs: number;
  readonly #maxRetries: number;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(options: ChannelOptions) {
    this.baseUrl = checkedUrl(options.baseUrl);
    this.#token = options.token;
    this.#needsToken = options.fetch === undefined;
    this.#timeoutMs = options.timeoutMs;
    this.#maxRetries = options.maxRetries;
    this.#headers = checkedHeaders(options.headers, options.token === "");
    this.#transport = createGrpcWebTransport({
      baseUrl: this.baseUrl,
      ...(options.fetch && { fetch: options.fetch }),
    });
  }

  /** Whether the token comes from a function, which can replace an expired token. */
  get renewsTokens(): boolean {
    return typeof this.#token === "function";
  }

  /** Calls a method once. The request and the response are plain objects. */
  async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    input: object,
    options: CallOptions = {},
  ): Promise<Plain<MessageShape<O>>> {
    return toPlain(method.output, await this.ask(method, fromPlain(method.input, input), options));
  }

  /**
   * Calls a method that is safe to repeat. Retries it up to `maxRetries` times while the server is unavailable or
   * throttles the caller.
   */
  async callSafely<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    input: object,
    options: CallOptions = {},
  ): Promise<Plain<MessageShape<O>>> {
    const request = fromPlain(method.input, input);
    for (let failures = 1; ; failures += 1) {
      try {
        return toPlain(method.output, await this.ask(method, request, options));
      } catch (error) {
        if (!isPassing(error) || failures > this.#maxRetries) {
          throw error;
        }
        await sleep(backoffMs(failures, error.retryAfter), options.signal);
      }
    }
  }

  /** Calls a method once. The request and the response are protobuf messages. */
  async ask<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const answer = await this.#admitted(options.signal, (header) =>
      this.#transport.unary(method, options.signal, options.timeoutMs ?? this.#timeoutMs, header, request as never),
    );
    return answer.message;
  }

  /** Opens a stream. If the stream fails later, the iteration throws. */
  async stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageShape<I>,
    signal?: AbortSignal,
  ): Promise<Incoming<MessageShape<O>>> {
    async function* one() {
      yield request as never;
    }
    const answer = await this.#admitted(signal, (header) => this.#transport.stream(method, signal, 0, header, one()));
    return { header: answer.header, messages: this.#guarded(answer.message, signal) };
  }

  async *#guarded<M>(messages: AsyncIterable<M>, signal: AbortSignal | undefined): AsyncGenerator<M> {
    try {
      yield* messages;
    } catch (error) {
      signal?.throwIfAborted();
      throw fromTransport(error, this.baseUrl);
    }
  }

  // Makes a call. If the server rejects the token, gets a new token from the token function and repeats the call
  // once.
  async #admitted<A>(signal: AbortSignal | undefined, attempt: (header: Headers) => Promise<A>): Promise<A> {
    for (let refused = 0; ; refused += 1) {
      signal?.throwIfAborted();
      const header = await this.#header();
      try {
        return await attempt(header);
      } catch (thrown) {
        signal?.throwIfAborted();
        const error = fromTransport(thrown, this.baseUrl);
        if (error.kind !== "unauthenticated" || typeof this.#token !== "function" || refused > 0) {
          throw error;
        }
      }
    }
  }

  async #header(): Promise<Headers> {
    const given = this.#token;
    const isFunction = typeof given === "function";
    const token = isFunction ? await given() : given;
    const header = new Headers(this.#headers);
    if ((token === undefined && this.#needsToken) || (token === "" && isFunction)) {
      throw new RunyardError({
        errorCode: "NOT_AUTHENTICATED",
        kind: "unauthenticated",
        message: isFunction ? "the token function returned no token" : "no token is set: set `token` to a token, an API key or a function that returns one",
      });
    }
    if (token !== undefined && token !== "") {
      // For an invalid token, `Headers` would throw an error that contains the token.
      if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
        throw new RunyardError({
          errorCode: "NOT_AUTHENTICATED",
          kind: "unauthenticated",
          message: "the token contains invalid characters",
        });
      }
      header.set("authorization", `Bearer ${token}`);
    }
    return header;
  }
}

// Headers that the transport sets.
const OWN_HEADERS = /^(connection|content-.*|grpc-.*|host|te|transfer-encoding|upgrade|user-agent|x-grpc-web|x-user-agent)$/;

// `Headers` would throw errors that contain the value, which may be secret.
function checkedHeaders(given: Readonly<Record<string, string>>, mayAuthorize: boolean): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    const lower = name.toLowerCase();
    if (!/^[a-z0-9_.-]+$/.test(lower) || OWN_HEADERS.test(lower)) {
      throw invalid(`headers must not contain ${JSON.stringify(name)}`);
    }
    if (lower === "authorization" && !mayAuthorize) {
      throw invalid('headers must not contain "authorization"; set `token` instead');
    }
    if (typeof value !== "string" || !/^[\x20-\x7e]*$/.test(value)) {
      throw invalid(`the header ${JSON.stringify(name)} must be printable ASCII text`);
    }
    headers[lower] = value;
  }
  return headers;
}

function checkedUrl(baseUrl: string): string {
  let url: URL;
  try {
    url = new URL(baseUrl);
  } catch {
    throw invalid("baseUrl must be a URL such as https://runyard.example.com");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw invalid("baseUrl must start with http:// or https://");
  }
  if (url.username || url.password || url.search || url.hash) {
    throw invalid("baseUrl must not contain a user, password, query or fragment");
  }
  return url.href.replace(/\/+$/, "");
}
