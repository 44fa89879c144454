// Previews of workspace files. Files of unknown kinds can only be downloaded.
import { Download, MoveHorizontal, X } from "lucide";
import { useSignal } from "@preact/signals";
import type { FileEntry } from "@runyard/client";
import { useEffect, useMemo } from "preact/hooks";
import { type FileKind, MAX_DOCUMENT, MAX_PREVIEW, kindOf, readText, save } from "../stores/files";
import { explainError } from "../errors";
import { languageOf } from "../view/colours";
import { bytes, count, counted } from "../view/format";
import type { Explained } from "../view/refusal";
import { isFlat, readJson, tableOf } from "../view/json";
import { readNotebook } from "../view/notebook";
import { readTable } from "../view/table";
import { Note, RefusalNote, Spinner } from "./basic";
import { ColouredText } from "./coloured";
import { CopyButton } from "./copy";
import { Icon } from "./icon";
import { JsonTree } from "./json_tree";
import { LargePicture } from "./lightbox";
import { Markdown } from "./markdown";
import { NotebookView } from "./notebook";
import { PdfView } from "./pdf";
import { Picture } from "./picture";
import { isFullWidth } from "./splitter";
import { TableView } from "./table_view";
import { type View, Views } from "./views";

const MAX_LINES = 3_000;
/** Maximum number of rows of a table, which the reader can sort. */
const MAX_ROWS = 20_000;

export function Preview({ sandboxId, file, onClose }: { sandboxId: string; file: FileEntry; onClose: () => void }) {
  const refused = useSignal<Explained | null>(null);
  const kind = kindOf(file);
  useEffect(() => () => void (isFullWidth.value = false), []);
  return (
    <section class="preview" aria-label={`Preview of ${file.name}`}>
      <header class="panel-head">
        <h3 class="preview-name">{file.path}</h3>
        <span class="small dim numbers">{bytes(file.size)}</span>
        <button
          type="button"
          class="button button-small push"
          onClick={async () => {
            try {
              await save(sandboxId, file);
            } catch (error) {
              refused.value = explainError(error);
            }
          }}
        >
          <Icon of={Download} size={15} />
          Download
        </button>
        <button
          type="button"
          class="button button-small preview-full"
          aria-pressed={isFullWidth.value}
          title="Show the files without the transcript"
          onClick={() => (isFullWidth.value = !isFullWidth.value)}
        >
          <Icon of={MoveHorizontal} size={15} />
          Full width
        </button>
        <button type="button" class="button-icon" aria-label="Close the preview" onClick={onClose}>
          <Icon of={X} size={16} />
        </button>
      </header>
      {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
      {kind === "image" ? (
        file.size > MAX_PREVIEW ? (
          <p class="dim preview-none">This image is too large to preview.</p>
        ) : (
          <LargePicture sandboxId={sandboxId} path={file.path} version={Number(file.modifiedAt ?? 0)} />
        )
      ) : kind === "pdf" ? (
        file.size > MAX_DOCUMENT ? (
          <p class="dim preview-none">This document is too large to preview.</p>
        ) : (
          <PdfView sandboxId={sandboxId} path={file.path} version={Number(file.modifiedAt ?? 0)} />
        )
      ) : kind === "other" ? (
        <p class="dim preview-none">No preview for this file type.</p>
      ) : (
        <TextPreview sandboxId={sandboxId} file={file} kind={kind} />
      )}
    </section>
  );
}

function TextPreview({ sandboxId, file, kind }: { sandboxId: string; file: FileEntry; kind: FileKind }) {
  const content = useSignal<{ text: string; whole: boolean } | null>(null);
  const refused = useSignal<Explained | null>(null);
  const version = Number(file.modifiedAt ?? 0);
  useEffect(() => {
    const abort = new AbortController();
    readText(sandboxId, file.path, file.size, kind === "notebook" ? MAX_DOCUMENT : MAX_PREVIEW, abort.signal).then(
      (read) => {
        if (!abort.signal.aborted) content.value = read;
      },
      (error) => {
        if (!abort.signal.aborted) refused.value = explainError(error);
      },
    );
    return () => abort.abort();
  }, [sandboxId, file.path, version]);
  const views = useMemo(() => (content.value ? viewsOf(kind, content.value.text, file, sandboxId) : []), [content.value]);
  if (refused.value) return <RefusalNote explained={refused.value} />;
  if (!content.value) return <Spinner label="Loading the file" />;
  const { text, whole } = content.value;
  if (text.includes("\0")) return <p class="dim preview-none">This file appears to be binary. Download it to view it.</p>;
  return (
    <>
      {!whole && <Note>This preview shows the start of a large file. Download it to see the rest.</Note>}
      <Views label="View of the file" views={views} />
    </>
  );
}

/** Returns the views that fit the file's content, and its text as the last one. */
function viewsOf(kind: FileKind, text: string, file: FileEntry, sandboxId: string): View[] {
  const views: View[] = [];
  if (kind === "table") {
    const table = readTable(text, MAX_ROWS);
    views.push({ label: "Table", draw: () => <TableView table={table} /> });
  } else if (kind === "markdown") {
    const draw = () => (
      <div class="preview-markdown">
        <Markdown text={text} picture={pictureBeside(sandboxId, file.path)} />
      </div>
    );
    views.push({ label: "Document", draw });
  } else if (kind === "notebook") {
    const notebook = readNotebook(text);
    if (notebook) views.push({ label: "Notebook", draw: () => <NotebookView notebook={notebook} /> });
  } else if (kind === "json") {
    const value = readJson(text, /\.(jsonl|ndjson)$/i.test(file.name));
    const table = value === null ? null : tableOf(value);
    if (value !== null) views.push({ label: "Tree", draw: () => <JsonTree value={value} /> });
    // The table shows nested values as text, so the tree comes first if there are any.
    if (table) views[isFlat(value) ? "unshift" : "push"]({ label: "Table", draw: () => <TableView table={table} /> });
  }
  views.push({ label: "Text", draw: () => <TextView text={text} name={file.name} /> });
  return views;
}

// Renders a document's images. Paths are relative to the document's folder. Images on other servers are not fetched.
function pictureBeside(sandboxId: string, path: string) {
  const folder = path.split("/").slice(0, -1);
  return (address: string) => {
    if (/^[a-z][a-z0-9+.-]*:|^\/\//i.test(address)) return null;
    const parts = address.startsWith("/workspace/") ? [] : [...folder];
    for (const part of address.replace(/^\/workspace\//, "").split(/[?#]/)[0]!.split("/")) {
      if (part === "..") parts.pop();
      else if (part !== "" && part !== ".") parts.push(part);
    }
    return <Picture sandboxId={sandboxId} path={parts.join("/")} version={0} />;
  };
}

function TextView({ text, name }: { text: string; name: string }) {
  const lines = useMemo(() => text.replace(/\n$/, "").split("\n"), [text]);
  const shown = lines.slice(0, MAX_LINES);
  return (
    <>
      <p class="small dim preview-details">
        {counted(lines.length, "line")}
        {lines.length > MAX_LINES && ` (showing the first ${count(MAX_LINES)})`}
        <span class="push">
          <CopyButton text={text} what={name} />
        </span>
      </p>
      <div class="text-view" tabIndex={0} role="group" aria-label={`Text of ${name}`}>
        <pre class="line-numbers" aria-hidden="true">
          {shown.map((_line, at) => at + 1).join("\n")}
        </pre>
        <pre class="lines">
          <ColouredText text={shown.join("\n")} language={languageOf(name)} />
        </pre>
      </div>
    </>
  );
}
