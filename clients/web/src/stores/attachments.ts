// Files attached to a task. Uploads start as soon as the user adds a file.
import { type Signal, signal } from "@preact/signals";
import { runyard } from "../client";
import { explainError } from "../errors";
import { bytes } from "../view/format";
import { account } from "./account";

const MAX_FILES = 50;
const PARALLEL_UPLOADS = 2;

export interface Attachment {
  key: number;
  file: File;
  sent: number;
  uploadId: string | null;
  problem: string | null;
}

export class Attachments {
  readonly list: Signal<readonly Attachment[]> = signal([]);
  readonly problem: Signal<string | null> = signal(null);
  #next = 1;
  #active = 0;
  #aborts = new Map<number, AbortController>();

  add(files: Iterable<File>): void {
    this.problem.value = null;
    const limit = account.state.peek().value?.maxUploadBytes ?? null;
    const added: Attachment[] = [];
    for (const file of files) {
      if (this.list.peek().length + added.length >= MAX_FILES) {
        this.problem.value = `You can attach up to ${MAX_FILES} files. The other files were not added.`;
        break;
      }
      const tooLarge = limit !== null && file.size > limit;
      added.push({
        key: this.#next++,
        file,
        sent: 0,
        uploadId: null,
        problem: tooLarge ? `Too large: your plan allows files up to ${bytes(limit)}` : null,
      });
    }
    this.list.value = [...this.list.peek(), ...added];
    this.#startUploads();
  }

  remove(key: number): void {
    this.#aborts.get(key)?.abort();
    this.list.value = this.list.peek().filter((attachment) => attachment.key !== key);
  }

  clear(): void {
    for (const { key } of this.list.peek()) this.remove(key);
    this.problem.value = null;
  }

  /** Waits for all uploads. Returns the upload ids, or null if an upload failed. */
  async ready(): Promise<string[] | null> {
    await new Promise<void>((resolve) => {
      const stop = this.list.subscribe((list) => {
        if (list.every(({ uploadId, problem }) => uploadId !== null || problem !== null)) {
          queueMicrotask(() => stop());
          resolve();
        }
      });
    });
    const list = this.list.peek();
    return list.every(({ uploadId }) => uploadId !== null) ? list.map(({ uploadId }) => uploadId!) : null;
  }

  #startUploads(): void {
    for (const attachment of this.list.peek()) {
      if (this.#active >= PARALLEL_UPLOADS) return;
      const { key, uploadId, problem } = attachment;
      if (uploadId === null && problem === null && !this.#aborts.has(key)) void this.#send(attachment);
    }
  }

  async #send({ key, file }: Attachment): Promise<void> {
    const abort = new AbortController();
    this.#aborts.set(key, abort);
    this.#active += 1;
    try {
      const upload = await runyard().uploads.create(file, {
        signal: abort.signal,
        onProgress: ({ sent }) => this.#change(key, { sent }),
      });
      this.#change(key, { uploadId: upload.uploadId, sent: file.size });
    } catch (error) {
      this.#change(key, { problem: explainError(error)?.text ?? "Upload failed" });
    } finally {
      this.#aborts.delete(key);
      this.#active -= 1;
      this.#startUploads();
    }
  }

  #change(key: number, change: Partial<Attachment>): void {
    this.list.value = this.list.peek().map((attachment) => (attachment.key === key ? { ...attachment, ...change } : attachment));
  }
}
