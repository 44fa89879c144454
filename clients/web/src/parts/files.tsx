// The workspace files of a thread.
import { BookOpen, Download, FileBraces, FileCode, FileImage, FileSpreadsheet, FileText, Folder, RefreshCw, Trash2 } from "lucide";
import type { IconNode } from "lucide";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type FileKind, deleteFile, files, filesChanged, kindOf, loadFiles, save } from "../stores/files";
import { explainError } from "../errors";
import { bytes } from "../view/format";
import type { Explained } from "../view/refusal";
import { Confirm, RefusalNote, Spinner } from "./basic";
import { Icon } from "./icon";
import { Preview } from "./preview";

const SIGNS: Record<FileKind, IconNode> = {
  image: FileImage,
  table: FileSpreadsheet,
  json: FileBraces,
  notebook: BookOpen,
  pdf: FileText,
  markdown: FileText,
  text: FileCode,
  other: FileText,
};

export function FilesPanel({ sandboxId, chosen, onChoose }: { sandboxId: string; chosen: string | null; onChoose: (path: string | null) => void }) {
  const refused = useSignal<Explained | null>(null);
  const deleting = useSignal<string | null>(null);
  useEffect(() => void loadFiles(sandboxId), [sandboxId]);
  const { value, loading, refused: notLoaded } = files.state.value;
  const list = value?.sandboxId === sandboxId ? value.files : null;
  const file = list?.find((each) => each.path === chosen && !each.isDir) ?? null;
  return (
    <section class="files" aria-label="Files">
      <header class="panel-head">
        <h2>Files</h2>
        <code class="dim small">/workspace</code>
        <button type="button" class="button-icon push" aria-label="Reload files" onClick={() => filesChanged(sandboxId)}>
          <Icon of={RefreshCw} size={16} />
        </button>
      </header>
      {notLoaded && <RefusalNote explained={notLoaded} onAgain={() => void loadFiles(sandboxId)} />}
      {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
      {!list && loading && <Spinner label="Loading files" />}
      {list?.length === 0 && <p class="dim small files-none">No files yet. Files appear here when a run writes them.</p>}
      <ul class="file-list">
        {list?.map((each) => {
          const depth = each.path.split("/").length - 1;
          return (
            <li key={each.path} class="file-row" style={{ paddingInlineStart: `${depth * 16}px` }}>
              {each.isDir ? (
                <span class="file-folder">
                  <Icon of={Folder} size={16} />
                  {each.name}
                </span>
              ) : (
                <>
                  <button
                    type="button"
                    class="file-open"
                    aria-pressed={each.path === chosen}
                    onClick={() => onChoose(each.path === chosen ? null : each.path)}
                  >
                    <Icon of={SIGNS[kindOf(each)]} size={16} />
                    <span class="file-name">{each.name}</span>
                    <span class="small dim numbers">{bytes(each.size)}</span>
                  </button>
                  <button
                    type="button"
                    class="button-icon"
                    aria-label={`Download ${each.path}`}
                    onClick={async () => {
                      try {
                        await save(sandboxId, each);
                      } catch (error) {
                        refused.value = explainError(error);
                      }
                    }}
                  >
                    <Icon of={Download} size={15} />
                  </button>
                  <button type="button" class="button-icon file-delete" aria-label={`Delete ${each.path}`} onClick={() => (deleting.value = each.path)}>
                    <Icon of={Trash2} size={15} />
                  </button>
                </>
              )}
            </li>
          );
        })}
      </ul>
      {file && <Preview key={file.path} sandboxId={sandboxId} file={file} onClose={() => onChoose(null)} />}
      {deleting.value && (
        <Confirm
          title="Delete this file?"
          action="Delete"
          onClose={() => (deleting.value = null)}
          onConfirm={async () => {
            const path = deleting.peek()!;
            try {
              await deleteFile(sandboxId, path);
              if (path === chosen) onChoose(null);
            } catch (error) {
              refused.value = explainError(error);
            }
          }}
        >
          <p>
            This permanently deletes <code>{deleting.value}</code>.
          </p>
        </Confirm>
      )}
    </section>
  );
}
