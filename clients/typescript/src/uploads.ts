// Files on their way up: in chunks, with progress, resumed where the server says they are after a break.

import { backoffMs, sleep } from "./backoff.js";
import type { CallOptions, Door } from "./door.js";
import { invalid, isPassing, isRunyardError } from "./error.js";
import { FileService, type Upload as WireUpload } from "./generated/runyard/v1/files_pb.js";
import type { Plain } from "./plain.js";

/** A file on its way in. */
export interface Upload extends Plain<WireUpload> {}

/** The content of a file. A Blob is read piece by piece, never as a whole. */
export type FileContent = Blob | Uint8Array | ArrayBuffer | string;

/** A file to send: a File, or anything with a name. `openAsBlob` of node:fs makes a Blob of a file on disk. */
export type FileInput = File | { name: string; data: FileContent };

/** How far an upload is. */
export interface UploadProgress {
  /** The file's name. */
  name: string;
  /** Bytes that the server has. */
  sent: number;
  /** Bytes of the file. */
  size: number;
}

/** What an upload takes. */
export interface UploadOptions extends CallOptions {
  /** Is told after every chunk. */
  onProgress?: ((progress: UploadProgress) => void) | undefined;
}

/** Bytes of one chunk; the server takes at most 1 MiB. */
const CHUNK = 512 * 1024;
/** Attempts at one chunk, one after another. */
const ATTEMPTS = 6;

export class Uploads {
  readonly #door: Door;

  constructor(door: Door) {
    this.#door = door;
  }

  /** Sends a file; the answer's `uploadId` goes into a run or a workspace. */
  async create(file: FileInput, options: UploadOptions = {}): Promise<Upload> {
    const source = sourceOf(file);
    const upload = await this.#door.callSafely(
      FileService.method.createUpload,
      { name: source.name, size: source.size },
      options,
    );
    return this.#send(upload, source, options);
  }

  /** Goes on with an upload that was left in the middle. */
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
        upload = await this.#door.call(FileService.method.uploadChunk, request, options);
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
        throw invalid(`the file ${source.name} does not grow on the server; it may have changed`);
      }
      failures = 0;
      tell();
    }
    return upload;
  }

  // A chunk of nothing changes nothing and answers with what has arrived.
  #state(uploadId: string, options: CallOptions): Promise<Upload> {
    return this.#door.callSafely(FileService.method.uploadChunk, { uploadId, offset: 0, data: new Uint8Array() }, options);
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
