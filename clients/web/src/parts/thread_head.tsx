// The header of a thread, with a menu to rename, share, export or delete it.
import { Ellipsis, FileBraces, FileText, Pencil, Share2, Trash2 } from "lucide";
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { runyard } from "../client";
import { go } from "../router";
import { loadAccount } from "../stores/account";
import { announce } from "../stores/announce";
import { exportThread } from "../stores/export";
import { whole } from "../stores/thread";
import { loadThreads } from "../stores/threads";
import { explainError } from "../errors";
import type { ExportFormat } from "../view/export";
import type { Explained } from "../view/refusal";
import { Confirm } from "./basic";
import { EditorDialog, TextField } from "./editor";
import { Icon } from "./icon";
import { ShareDialog } from "./share";

export function ThreadHead({ name, threadId, onRefused }: { name: string; threadId: string; onRefused: (explained: Explained | null) => void }) {
  const menu = useRef<HTMLDetailsElement>(null);
  const open = useSignal<"rename" | "share" | "delete" | null>(null);
  const next = useSignal(name);
  const close = () => {
    const element = menu.current;
    // The focus stays in the page when its button is hidden.
    if (element?.contains(document.activeElement)) element.querySelector("summary")?.focus();
    element?.removeAttribute("open");
  };
  const save = async (format: ExportFormat) => {
    close();
    try {
      await exportThread(threadId, format);
      announce("Exported the thread");
    } catch (error) {
      onRefused(explainError(error));
    }
  };
  useEffect(() => {
    const elsewhere = (event: PointerEvent) => {
      if (!menu.current?.contains(event.target as Node)) close();
    };
    addEventListener("pointerdown", elsewhere);
    return () => removeEventListener("pointerdown", elsewhere);
  }, []);
  return (
    <header class="thread-head">
      <h1>{name || "Thread"}</h1>
      <details
        ref={menu}
        class="menu"
        onKeyDown={(event) => {
          if (event.key === "Escape") close();
        }}
      >
        <summary class="button-icon" aria-label="Thread actions">
          <Icon of={Ellipsis} />
        </summary>
        <div class="menu-items">
          <button
            type="button"
            onClick={() => {
              close();
              next.value = name;
              open.value = "rename";
            }}
          >
            <Icon of={Pencil} size={16} />
            Rename
          </button>
          <button
            type="button"
            onClick={() => {
              close();
              open.value = "share";
            }}
          >
            <Icon of={Share2} size={16} />
            Share
          </button>
          <button type="button" onClick={() => void save("markdown")}>
            <Icon of={FileText} size={16} />
            Export as Markdown
          </button>
          <button type="button" onClick={() => void save("json")}>
            <Icon of={FileBraces} size={16} />
            Export as JSON
          </button>
          <button
            type="button"
            class="bad"
            onClick={() => {
              close();
              open.value = "delete";
            }}
          >
            <Icon of={Trash2} size={16} />
            Delete
          </button>
        </div>
      </details>
      {open.value === "rename" && (
        <EditorDialog
          title="Rename thread"
          action="Rename"
          onClose={() => (open.value = null)}
          onSave={async () => {
            const thread = await runyard().threads.update(threadId, { name: next.value.trim() });
            const before = whole.state.peek().value;
            if (before) whole.set({ ...before, thread });
            void loadThreads();
            open.value = null;
          }}
        >
          <TextField label="Name" text={next} maxLength={200} />
        </EditorDialog>
      )}
      {open.value === "share" && <ShareDialog threadId={threadId} onClose={() => (open.value = null)} />}
      {open.value === "delete" && (
        <Confirm
          title="Delete this thread?"
          action="Delete"
          onClose={() => (open.value = null)}
          onConfirm={async () => {
            try {
              await runyard().threads.delete(threadId);
              announce("Deleted the thread");
              void loadThreads();
              void loadAccount();
              go("/threads");
            } catch (error) {
              onRefused(explainError(error));
            }
          }}
        >
          <p>This permanently deletes the thread with its messages and runs.</p>
        </Confirm>
      )}
    </header>
  );
}
