// Sandboxes and their files.

import { backoffMs, sleep } from "./backoff.js";
import type { CallOptions, Channel, Incoming } from "./channel.js";
import { isPassing, RunyardError } from "./error.js";
import type { HttpBody } from "./generated/google/api/httpbody_pb.js";
import {
  ReadFileRequestSchema,
  SandboxService,
  type File as WireFile,
  type ReadFileRequest,
  type Sandbox as WireSandbox,
} from "./generated/runyard/v1/sandboxes_pb.js";
import { Listing } from "./pages.js";
import { fromPlain, type Plain } from "./plain.js";
import type { FileContent, UploadOptions, Uploads } from "./uploads.js";

/** The workspace of a project. */
export interface Sandbox extends Plain<WireSandbox> {}
/** A file or folder of a workspace. */
export interface FileEntry extends Plain<WireFile> {}

export interface ListFilesOptions extends CallOptions {
  /** Path of the folder, relative to /workspace. */
  path?: string | undefined;
  recursive?: boolean | undefined;
  pageSize?: number | undefined;
  pageToken?: string | undefined;
}

export interface FileStream {
  /** The content type, derived from the file name; application/x-tar for a folder. */
  contentType: string;
  /** The content. After a broken connection, the download resumes after the last received byte. */
  chunks: AsyncIterable<Uint8Array>;
}

/** Maximum consecutive attempts of a download that receive no data. */
const ATTEMPTS = 6;

export class Sandboxes {
  readonly #channel: Channel;
  readonly #uploads: Uploads;

  constructor(channel: Channel, uploads: Uploads) {
    this.#channel = channel;
    this.#uploads = uploads;
  }

  get(sandboxId: string, options?: CallOptions): Promise<Sandbox> {
    return this.#channel.callSafely(SandboxService.method.getSandbox, { sandboxId }, options);
  }

  /** Lists the files and folders of a folder, ordered by path. */
  list(sandboxId: string, options: ListFilesOptions = {}): Listing<FileEntry> {
    const { path, recursive, pageSize, pageToken: first, ...call } = options;
    return new Listing(async (pageToken = first) => {
      const request = { sandboxId, path, recursive, pageSize, pageToken };
      const page = await this.#channel.callSafely(SandboxService.method.listFiles, request, call);
      return { items: page.files, nextPageToken: page.nextPageToken };
    });
  }

  /** Opens a file as a stream. A folder is streamed as a tar archive. */
  async open(sandboxId: string, path: string, options: CallOptions = {}): Promise<FileStream> {
    const content = this.#content(sandboxId, path, options.signal);
    // `#content` yields the content type first.
    const first = await content.next();
    const contentType = first.done ? "" : (first.value as string);
    async function* rest() {
      for await (const chunk of content) {
        yield chunk as Uint8Array;
      }
    }
    return { contentType, chunks: rest() };
  }

  async read(sandboxId: string, path: string, options?: CallOptions): Promise<Uint8Array> {
    const { chunks } = await this.open(sandboxId, path, options);
    return joined(chunks);
  }

  /** Returns a file's content as UTF-8 text. */
  async readText(sandboxId: string, path: string, options?: CallOptions): Promise<string> {
    return new TextDecoder().decode(await this.read(sandboxId, path, options));
  }

  /** Returns a file's content and its content type. */
  async readBlob(sandboxId: string, path: string, options?: CallOptions): Promise<Blob> {
    const { contentType, chunks } = await this.open(sandboxId, path, options);
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) {
      parts.push(chunk);
    }
    return new Blob(parts as BlobPart[], { type: contentType });
  }

  /** Uploads a file to a path in the workspace. */
  async write(sandboxId: string, path: string, data: FileContent, options: UploadOptions = {}): Promise<FileEntry> {
    const name = path.split("/").pop() || "file";
    const { uploadId } = await this.#uploads.create({ name, data }, options);
    const { onProgress: _, ...call } = options;
    return this.#channel.call(SandboxService.method.writeFile, { sandboxId, path, uploadId }, call);
  }

  /** Deletes a file or an empty folder. */
  async delete(sandboxId: string, path: string, options?: CallOptions): Promise<void> {
    await this.#channel.call(SandboxService.method.deleteFile, { sandboxId, path }, options);
  }

  // Yields the content type and then the bytes. Resumes after a broken connection. Throws if the file has changed
  // since the first byte.
  async *#content(sandboxId: string, path: string, signal: AbortSignal | undefined): AsyncGenerator<string | Uint8Array> {
    let received = 0;
    let etag: string | null = null;
    let isTypeKnown = false;
    let failures = 0;
    for (;;) {
      const over = new AbortController();
      const abort = () => over.abort(signal?.reason);
      signal?.throwIfAborted();
      signal?.addEventListener("abort", abort);
      try {
        const range: string = received > 0 ? `bytes=${received}-` : "";
        const request: ReadFileRequest = fromPlain(ReadFileRequestSchema, {
          sandboxId,
          path,
          range,
          ifRange: range && (etag ?? ""),
        });
        const { header, messages }: Incoming<HttpBody> = await this.#channel.stream(SandboxService.method.readFile, request, over.signal);
        if (received > 0 && header.get("etag") !== etag) {
          throw changed(path);
        }
        etag = header.get("etag");
        for await (const body of messages) {
          if (!isTypeKnown) {
            isTypeKnown = true;
            yield body.contentType;
          }
          if (body.data.byteLength > 0) {
            failures = 0;
            received += body.data.byteLength;
            yield body.data;
          }
        }
        return;
      } catch (error) {
        failures += 1;
        // A download without an ETag cannot resume. A folder's archive has no ETag, because two archives of one
        // folder may differ.
        if (!isPassing(error) || failures >= ATTEMPTS || (received > 0 && etag === null)) {
          throw error;
        }
        await sleep(backoffMs(failures, error.retryAfter), signal);
      } finally {
        signal?.removeEventListener("abort", abort);
        over.abort();
      }
    }
  }
}

async function joined(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    size += chunk.byteLength;
  }
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.byteLength;
  }
  return whole;
}

function changed(path: string): RunyardError {
  const message = `${path} changed during the download`;
  return new RunyardError({ errorCode: "CONFLICT", kind: "conflicting", message });
}
