// File uploads in chunks. After a failure, an upload resumes after the last byte that the server has received.

import { backoffMs, sleep } from "./backoff.js";
import type { CallOptions, Channel } from "./channel.js";
import { invalid, isPassing, isRunyardError } from "./error.js";
import { FileService, type Upload as WireUpload } from "./generated/runyard/v1/files_pb.js";
import type { Plain } from "./plain.js";

export interface Upload extends Plain<WireUpload> {}

/** The content of a file. A Blob is never read as a whole. */
export type FileContent = Blob | Uint8Array | ArrayBuffer | string;

/** A File, or a name with data. In Node, `openAsBlob` from node:fs opens a file as a Blob. */
export type FileInput = File | { name: string; data: FileContent };

export interface UploadProgress {
  name: string;
  /** Number of bytes that the server has received. */
  sent: number;
  size: number;
}

export interface UploadOptions extends CallOptions {
  /** Called before the first chunk and after every chunk. */
  onProgress?: ((progress: UploadProgress) => void) | undefined;
}

/** Chunk size in bytes. The server accepts up to 1 MiB. */
const CHUNK = 512 * 1024;
/** Maximum number of attempts per chunk. */
const ATTEMPTS = 6;

export class Uploads {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Uploads a file. The `uploadId` of the result attaches the file to a run or writes the file to a workspace. */
  async create(file: FileInput, options: UploadOptions = {}): Promise<Upload> {
    const source = sourceOf(file);
    const upload = await this.#channel.callSafely(
      FileService.method.createUpload,
      { name: source.name, size: source.size },
      options,
    );
    return this.#send(upload, source, options);
  }

  /** Resumes an incomplete upload after the last byte that the server has received. */
  async resume(uploadId: string, file: FileInput, options: UploadOptions = {}): Promise<Upload> {
    return this.#send(await this.#state(uploadId, options), sourceOf(file), options);
  }

  async #send(begun: Upload, source: Source, options: UploadOptions): Promise<Upload> {
    let upload = begun;
    let failures = 0;
    const tell = () => options.onProgress?.({ name: source.name, sent: upload.received, size: source.size });
    tell();
    while (!upload.complete) {
      const offset = upload.received;
      try {
        const data = await source.read(offset, Math.min(offset + CHUNK, source.size));
        const request = { uploadId: upload.uploadId, offset, data };
        upload = await this.#channel.call(FileService.method.uploadChunk, request, options);
      } catch (error) {
        failures += 1;
        const hasGap = isRunyardError(error) && error.errorCode === "UPLOAD_INCOMPLETE";
        if (failures >= ATTEMPTS || !(isPassing(error) || hasGap)) {
          throw error;
        }
        await sleep(backoffMs(failures, isPassing(error) ? error.retryAfter : 0), options.signal);
        if (hasGap) {
          upload = await this.#state(upload.uploadId, options);
        }
        continue;
      }
      if (!upload.complete && upload.received <= offset) {
        throw invalid(`the upload of ${source.name} makes no progress; the file may have changed`);
      }
      failures = 0;
      tell();
    }
    return upload;
  }

  // Returns the state of an upload by sending an empty chunk, which changes nothing.
  #state(uploadId: string, options: CallOptions): Promise<Upload> {
    return this.#channel.callSafely(FileService.method.uploadChunk, { uploadId, offset: 0, data: new Uint8Array() }, options);
  }
}

interface Source {
  name: string;
  size: number;
  read(start: number, end: number): Promise<Uint8Array>;
}

function sourceOf(file: FileInput): Source {
  const name = file.name;
  if (typeof name !== "string" || name === "") {
    throw invalid("a file needs a name");
  }
  const data: FileContent = "data" in file ? file.data : file;
  if (data instanceof Blob) {
    const read = async (start: number, end: number) => new Uint8Array(await data.slice(start, end).arrayBuffer());
    return { name, size: data.size, read };
  }
  const bytes = bytesOf(data, name);
  return { name, size: bytes.byteLength, read: async (start, end) => bytes.subarray(start, end) };
}

function bytesOf(data: Exclude<FileContent, Blob>, name: string): Uint8Array {
  if (typeof data === "string") {
    return new TextEncoder().encode(data);
  }
  if (data instanceof Uint8Array) {
    return data;
  }
  if (data instanceof ArrayBuffer) {
    return new Uint8Array(data);
  }
  throw invalid(`the data of ${name} must be a Blob, bytes or text`);
}
