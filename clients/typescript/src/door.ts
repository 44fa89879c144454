// The way to the server: one gRPC-Web transport, the token, deadlines, and the retries of calls that may be repeated.

import type { DescMessage, DescMethodServerStreaming, DescMethodUnary, MessageShape } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { backoffMs, sleep } from "./backoff.js";
import { fromTransport, invalid, isPassing, RunyardError } from "./error.js";
import { fromPlain, toPlain, type Plain } from "./plain.js";

/** A token, or what fetches one; it is asked before every call, and once more when the server refuses the token. */
export type Token = string | (() => string | Promise<string>);

/** What every call takes. */
export interface CallOptions {
  /** Ends the call; it rejects with the signal's reason, as fetch does. */
  signal?: AbortSignal | undefined;
  /** The deadline of one attempt, in milliseconds, instead of the client's. */
  timeoutMs?: number | undefined;
}

/** How the door is set up. */
export interface DoorOptions {
  baseUrl: string;
  token: Token | undefined;
  timeoutMs: number;
  attempts: number;
  fetch: typeof globalThis.fetch | undefined;
}

/** An answer of the server as it streams in. */
export interface Incoming<M> {
  header: Headers;
  messages: AsyncIterable<M>;
}

export class Door {
  readonly baseUrl: string;
  readonly #transport: Transport;
  readonly #token: Token | undefined;
  readonly #timeoutMs: number;
  readonly #attempts: number;

  constructor(options: DoorOptions) {
    this.baseUrl = checkedUrl(options.baseUrl);
    this.#token = options.token;
    this.#timeoutMs = options.timeoutMs;
    this.#attempts = options.attempts;
    this.#transport = createGrpcWebTransport({
      baseUrl: this.baseUrl,
      ...(options.fetch && { fetch: options.fetch }),
    });
  }

  /** Whether asking for the token again may give another one. */
  get renewsTokens(): boolean {
    return typeof this.#token === "function";
  }

  /** Calls a method. */
  async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    input: object,
    options: CallOptions = {},
  ): Promise<Plain<MessageShape<O>>> {
    return toPlain(method.output, await this.ask(method, fromPlain(method.input, input), options));
  }

  /** Calls a method that may be repeated: while the server is away it is asked again, a bounded number of times. */
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
        if (!isPassing(error) || failures >= this.#attempts) {
          throw error;
        }
        await sleep(backoffMs(failures, error.retryAfter), options.signal);
      }
    }
  }

  /** Calls a method with messages of protobuf. */
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

  /** Opens a stream. What breaks it later is thrown by the iteration, as an error of ours. */
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

  // A token function may hand out a fresh token when the server has refused the one before.
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
    const token = typeof this.#token === "function" ? await this.#token() : this.#token;
    const header = new Headers();
    if (token !== undefined && token !== "") {
      // What a header cannot hold would be quoted in the message of the error that Headers throws.
      if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
        throw new RunyardError({
          errorCode: "NOT_AUTHENTICATED",
          kind: "unauthenticated",
          message: "the token holds characters that no token has",
        });
      }
      header.set("authorization", `Bearer ${token}`);
    }
    return header;
  }
}

function checkedUrl(baseUrl: string): string {
  let url: URL;
  try {
    url = new URL(baseUrl);
  } catch {
    throw invalid("baseUrl must be an address such as https://runyard.example.com");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw invalid("baseUrl must begin with http:// or https://");
  }
  if (url.username || url.password || url.search || url.hash) {
    throw invalid("baseUrl must have no user, password, query or fragment");
  }
  return url.href.replace(/\/+$/, "");
}
