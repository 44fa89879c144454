// A file as it looks: a picture, a table, markdown, text with line numbers; what cannot be shown can be downloaded.
import { Download, X } from "lucide";
import { useSignal } from "@preact/signals";
import type { FileEntry } from "@runyard/client";
import { useEffect, useMemo } from "preact/hooks";
import { type FileKind, MAX_PREVIEW, kindOf, readImage, readText, save } from "../stores/files";
import { trouble } from "../trouble";
import { isNumeric, readTable } from "../view/csv";
import { bytes, count, counted } from "../view/format";
import type { Explained } from "../view/refusal";
import { Note, RefusalNote, Spinner } from "./basic";
import { CopyButton } from "./copy";
import { Icon } from "./icon";
import { Markdown } from "./markdown";

/** Lines of a text, and rows of a table, that are shown. */
const MAX_LINES = 3_000;
const MAX_ROWS = 500;

/** A file with its name and a way to save it. */
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
              refused.value = trouble(error);
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
          <p class="dim preview-none">This picture is too large to be shown here.</p>
        ) : (
          <Picture sandboxId={sandboxId} path={file.path} version={Number(file.modifiedAt ?? 0)} />
        )
      ) : kind === "other" ? (
        <p class="dim preview-none">There is no preview for this kind of file.</p>
      ) : (
        <Words sandboxId={sandboxId} file={file} kind={kind} />
      )}
    </section>
  );
}

/** A picture of a sandbox. It is only ever an image: scripts in an SVG do not run. */
export function Picture({ sandboxId, path, version, label }: { sandboxId: string; path: string; version: number; label?: string }) {
  const address = useSignal<string | null>(null);
  const refused = useSignal<Explained | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    let made: string | null = null;
    readImage(sandboxId, path, abort.signal).then(
      (blob) => {
        if (abort.signal.aborted) return;
        made = URL.createObjectURL(blob);
        address.value = made;
        refused.value = null;
      },
      (error) => {
        if (!abort.signal.aborted) refused.value = trouble(error);
      },
    );
    return () => {
      abort.abort();
      if (made) URL.revokeObjectURL(made);
    };
  }, [sandboxId, path, version]);
  if (refused.value) return <Note kind="error">{refused.value.text}</Note>;
  return address.value ? <img class="picture" src={address.value} alt={label ?? path} /> : <Spinner label="Loading the picture" />;
}

function Words({ sandboxId, file, kind }: { sandboxId: string; file: FileEntry; kind: FileKind }) {
  const content = useSignal<{ text: string; whole: boolean } | null>(null);
  const refused = useSignal<Explained | null>(null);
  const version = Number(file.modifiedAt ?? 0);
  useEffect(() => {
    const abort = new AbortController();
    readText(sandboxId, file.path, file.size, abort.signal).then(
      (read) => {
        if (!abort.signal.aborted) content.value = read;
      },
      (error) => {
        if (!abort.signal.aborted) refused.value = trouble(error);
      },
    );
    return () => abort.abort();
  }, [sandboxId, file.path, version]);
  if (refused.value) return <RefusalNote explained={refused.value} />;
  if (!content.value) return <Spinner label="Loading the file" />;
  const { text, whole } = content.value;
  if (text.includes("\0")) return <p class="dim preview-none">This does not look like text. Download it to see what it is.</p>;
  return (
    <>
      {!whole && <Note>This is the beginning of a large file; download it to have all of it.</Note>}
      {kind === "table" ? (
        <TableView text={text} />
      ) : kind === "markdown" ? (
        <div class="preview-markdown">
          <Markdown text={text} picture={pictureBeside(sandboxId, file.path)} />
        </div>
      ) : (
        <TextView text={text} name={file.name} />
      )}
    </>
  );
}

// Pictures that a document names are those of the workspace, below the document's folder; nothing is fetched from elsewhere.
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
      <p class="small dim preview-facts">
        {table.more ? `The first ${count(table.rows.length)} rows` : counted(table.rows.length, "row")}, {counted(table.header.length, "column")}
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
      <p class="small dim preview-facts">
        {counted(lines.length, "line")}
        {lines.length > MAX_LINES && `, the first ${count(MAX_LINES)} are shown`}
        <span class="push">
          <CopyButton text={text} what={name} />
        </span>
      </p>
      <div class="text-view" tabIndex={0} role="group" aria-label={`Text of ${name}`}>
        <pre class="line-numbers" aria-hidden="true">
          {shown.map((_line, at) => at + 1).join("\n")}
        </pre>
        <pre class="lines">{shown.join("\n")}</pre>
      </div>
    </>
  );
}
