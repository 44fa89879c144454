// The files of the current sandbox.
import type { FileEntry } from "@runyard/client";
import { runyard } from "../client";
import { download } from "./download";
import { Loadable } from "./loaded";

const MAX_FILES = 2_000;
/** Maximum bytes of a preview. A longer text is truncated; a larger image is not shown. */
export const MAX_PREVIEW = 4_000_000;
/** Maximum bytes of a notebook or a PDF in a preview. Notebooks contain images. */
export const MAX_DOCUMENT = 30_000_000;

/** The kind of preview. A file of kind "other" has none. */
export type FileKind = "image" | "table" | "json" | "notebook" | "markdown" | "pdf" | "text" | "other";

export const files = new Loadable<{ sandboxId: string; files: readonly FileEntry[] }>();

/** Loads the files of a sandbox. First clears the list of another sandbox. */
export function loadFiles(sandboxId: string): Promise<void> {
  if (files.state.peek().value?.sandboxId !== sandboxId) files.clear();
  return files.load(async () => ({
    sandboxId,
    files: await runyard().sandboxes.list(sandboxId, { recursive: true, pageSize: 1000 }).all(MAX_FILES),
  }));
}

let timer: ReturnType<typeof setTimeout> | undefined;

/** Reloads the files after 150 ms. Further calls within this time do nothing. */
export function filesChanged(sandboxId: string): void {
  if (timer !== undefined) return;
  timer = setTimeout(() => {
    timer = undefined;
    void loadFiles(sandboxId);
  }, 150);
}

export function kindOf(file: Pick<FileEntry, "name" | "contentType">): FileKind {
  const name = file.name.toLowerCase();
  if (/\.(svg|png|jpe?g|gif|webp|avif|bmp|ico)$/.test(name)) return "image";
  if (/\.(csv|tsv)$/.test(name)) return "table";
  if (/\.(json|jsonl|ndjson|geojson)$/.test(name)) return "json";
  if (/\.ipynb$/.test(name)) return "notebook";
  if (/\.pdf$/.test(name)) return "pdf";
  if (/\.(md|markdown)$/.test(name)) return "markdown";
  if (file.contentType.startsWith("text/") || /(json|xml|yaml|toml|javascript|typescript|x-sh|x-python|sql)/.test(file.contentType)) return "text";
  return /\.(json|ya?ml|toml|py|rs|js|ts|tsx|jsx|sh|sql|go|rb|java|c|h|cpp|hpp|css|html?|xml|ini|cfg|conf|log|txt|lock|env|gitignore|dockerfile|makefile)$/.test(`.${name}`)
    ? "text"
    : "other";
}

// The content type of an image comes from this table, never from the server. An SVG cannot run scripts, because the
// file is only the source of an image element.
const IMAGE_TYPES: Record<string, string> = {
  svg: "image/svg+xml",
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  bmp: "image/bmp",
  ico: "image/x-icon",
};

export async function readImage(sandboxId: string, path: string, signal: AbortSignal): Promise<Blob> {
  const type = IMAGE_TYPES[path.slice(path.lastIndexOf(".") + 1).toLowerCase()] ?? "application/octet-stream";
  return new Blob([await readBytes(sandboxId, path, signal)], { type });
}

/** Reads up to `limit` bytes. `whole` is false if the file is longer. */
export async function readText(sandboxId: string, path: string, size: number, limit: number, signal: AbortSignal): Promise<{ text: string; whole: boolean }> {
  const data = await readBytes(sandboxId, path, signal, limit);
  return { text: new TextDecoder().decode(data), whole: size <= limit };
}

/** Reads a file of up to `MAX_DOCUMENT` bytes. */
export function readFile(sandboxId: string, path: string, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  return readBytes(sandboxId, path, signal, MAX_DOCUMENT);
}

export async function save(sandboxId: string, file: FileEntry): Promise<void> {
  download(file.name, await readBytes(sandboxId, file.path));
}

export async function deleteFile(sandboxId: string, path: string): Promise<void> {
  await runyard().sandboxes.delete(sandboxId, path);
  await loadFiles(sandboxId);
}

async function readBytes(sandboxId: string, path: string, signal?: AbortSignal, limit = Infinity): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const { chunks } = await runyard().sandboxes.open(sandboxId, path, { signal });
  for await (const chunk of chunks) {
    parts.push(chunk.byteLength > limit - size ? chunk.subarray(0, limit - size) : chunk);
    size += parts[parts.length - 1]!.byteLength;
    if (size >= limit) break;
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}
