// Previews of workspace files. Files of unknown kinds can only be downloaded.
import { Download, X } from "lucide";
import { useSignal } from "@preact/signals";
import type { FileEntry } from "@runyard/client";
import { useEffect, useMemo } from "preact/hooks";
import { type FileKind, MAX_PREVIEW, kindOf, readText, save } from "../stores/files";
import { explainError } from "../errors";
import { isNumeric, readTable } from "../view/csv";
import { bytes, count, counted } from "../view/format";
import type { Explained } from "../view/refusal";
import { readJson } from "../view/json";
import { Note, RefusalNote, Spinner } from "./basic";
import { ColouredText } from "./coloured";
import { CopyButton } from "./copy";
import { Icon } from "./icon";
import { JsonTree } from "./json_tree";
import { LargePicture } from "./lightbox";
import { Markdown } from "./markdown";
import { Picture } from "./picture";

const MAX_LINES = 3_000;
const MAX_ROWS = 500;

export function Preview({ sandboxId, file, onClose }: { sandboxId: string; file: FileEntry; onClose: () => void }) {
  const refused = useSignal<Explained | null>(null);
  const kind = kindOf(file);
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
  const asText = useSignal(false);
  const version = Number(file.modifiedAt ?? 0);
  useEffect(() => {
    const abort = new AbortController();
    readText(sandboxId, file.path, file.size, abort.signal).then(
      (read) => {
        if (!abort.signal.aborted) content.value = read;
      },
      (error) => {
        if (!abort.signal.aborted) refused.value = explainError(error);
      },
    );
    return () => abort.abort();
  }, [sandboxId, file.path, version]);
  const json = useMemo(
    () => (kind === "json" && content.value ? readJson(content.value.text, /\.(jsonl|ndjson)$/i.test(file.name)) : null),
    [content.value],
  );
  if (refused.value) return <RefusalNote explained={refused.value} />;
  if (!content.value) return <Spinner label="Loading the file" />;
  const { text, whole } = content.value;
  if (text.includes("\0")) return <p class="dim preview-none">This file appears to be binary. Download it to view it.</p>;
  return (
    <>
      {!whole && <Note>This preview shows the start of a large file. Download it to see the rest.</Note>}
      {json !== null || kind === "table" || kind === "markdown" ? (
        <div class="switch preview-switch" role="group" aria-label="View of the file">
          <button type="button" aria-pressed={!asText.value} onClick={() => (asText.value = false)}>
            {kind === "table" ? "Table" : kind === "markdown" ? "Document" : "Tree"}
          </button>
          <button type="button" aria-pressed={asText.value} onClick={() => (asText.value = true)}>
            Text
          </button>
        </div>
      ) : null}
      {asText.value || (kind === "json" && json === null) || kind === "text" ? (
        <TextView text={text} name={file.name} />
      ) : kind === "table" ? (
        <TableView text={text} />
      ) : kind === "json" ? (
        <JsonTree value={json} />
      ) : (
        <div class="preview-markdown">
          <Markdown text={text} picture={pictureBeside(sandboxId, file.path)} />
        </div>
      )}
    </>
  );
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

function TableView({ text }: { text: string }) {
  const table = useMemo(() => readTable(text, MAX_ROWS), [text]);
  const right = table.header.map((_name, at) => isNumeric(table, at));
  return (
    <>
      <p class="small dim preview-details">
        {table.more ? `First ${count(table.rows.length)} rows` : counted(table.rows.length, "row")}, {counted(table.header.length, "column")}
      </p>
      <div class="table-scroll data" tabIndex={0} role="group" aria-label="Table">
        <table>
          <thead>
            <tr>
              {table.header.map((name, at) => (
                <th key={at} scope="col" class={right[at] ? "right" : undefined}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {table.rows.map((row, line) => (
              <tr key={line}>
                {table.header.map((_name, at) => (
                  <td key={at} class={right[at] ? "right" : undefined}>
                    {row[at]}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
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

/** The language is the extension, or the whole name of a file without one. */
function languageOf(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1).toLowerCase();
}
