// The thread screen: the transcript beside the workspace files.
import { FolderOpen, MessagesSquare } from "lucide";
import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { RefusalNote, Spinner } from "../parts/basic";
import { DemoNote } from "../parts/demo_note";
import { FilesPanel } from "../parts/files";
import { Icon } from "../parts/icon";
import { Splitter, filesWidth, isFullWidth } from "../parts/splitter";
import { ThreadHead } from "../parts/thread_head";
import { Transcript } from "../parts/transcript";
import { files, filesChanged } from "../stores/files";
import { changes, isReconnecting } from "../stores/live";
import { loadThread, turns, whole } from "../stores/thread";
import type { Explained } from "../view/refusal";
import { isActive } from "../view/run";

export function ThreadScreen({ threadId }: { threadId: string }) {
  const chosen = useSignal<string | null>(null);
  const side = useSignal<"transcript" | "files">("transcript");
  const refused = useSignal<Explained | null>(null);
  useEffect(() => {
    if (whole.state.peek().value?.thread.threadId !== threadId) whole.clear();
    chosen.value = null;
    void loadThread(threadId);
    // Runs may have ended while the connection was lost.
    const reload = () => void loadThread(threadId);
    addEventListener("online", reload);
    let wasReconnecting = false;
    const stop = isReconnecting.subscribe((reconnecting) => {
      if (wasReconnecting && !reconnecting) reload();
      wasReconnecting = reconnecting;
    });
    return () => {
      removeEventListener("online", reload);
      stop();
    };
  }, [threadId]);
  const { value, refused: notLoaded } = whole.state.value;
  const shown = value?.thread.threadId === threadId ? value : null;
  const name = shown?.thread.name ?? "";
  useEffect(() => {
    if (name) document.title = `${name} · Runyard`;
  }, [name]);
  if (!shown) {
    return (
      <div class="page">
        <h1 class="unseen">Thread</h1>
        {notLoaded ? <RefusalNote explained={notLoaded} onAgain={() => void loadThread(threadId)} /> : <Spinner label="Loading the thread" />}
      </div>
    );
  }
  const { sandboxId } = shown;
  const choose = (path: string | null) => {
    chosen.value = path;
    // A window that becomes narrow continues to show the file.
    if (path !== null) side.value = "files";
  };
  return (
    <div class="thread" data-side={side.value}>
      <ThreadHead name={name} threadId={threadId} onRefused={(explained) => (refused.value = explained)} />
      <div class="thread-notes">
        {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
        <DemoNote />
      </div>
      <div class="sides" role="group" aria-label="View">
        <button type="button" aria-pressed={side.value === "transcript"} onClick={() => (side.value = "transcript")}>
          <Icon of={MessagesSquare} size={16} />
          Transcript
        </button>
        <button type="button" aria-pressed={side.value === "files"} onClick={() => (side.value = "files")}>
          <Icon of={FolderOpen} size={16} />
          Files
          {files.value?.sandboxId === sandboxId && sandboxId && (
            <span class="badge">{files.value?.files.filter((file) => !file.isDir).length ?? 0}</span>
          )}
        </button>
      </div>
      <div class={`thread-body${isFullWidth.value ? " thread-body-full" : filesWidth.value === null ? "" : " thread-body-split"}`} style={{ "--files": `${filesWidth.value ?? 32}%` }}>
        <Transcript
          thread={shown.thread}
          all={turns(shown)}
          sandboxId={sandboxId}
          onFile={choose}
        />
        <Splitter />
        <aside class="thread-side" aria-label="Workspace">
          {sandboxId ? (
            <>
              <FilesPanel sandboxId={sandboxId} chosen={chosen.value} onChoose={choose} />
              <FilesFollow sandboxId={sandboxId} />
            </>
          ) : (
            <SandboxWait threadId={threadId} waiting={shown.runs.some((run) => isActive(run.status) && run.mode !== "chat")} />
          )}
        </aside>
      </div>
    </div>
  );
}

function FilesFollow({ sandboxId }: { sandboxId: string }) {
  useSignalEffect(() => {
    if (changes.value > 0) filesChanged(sandboxId);
  });
  return null;
}

/** Milliseconds between two checks for a new workspace. */
const POLL_INTERVAL_MS = 1_500;

// Shown until the thread has a workspace, which the server creates in the background.
function SandboxWait({ threadId, waiting }: { threadId: string; waiting: boolean }) {
  useEffect(() => {
    if (!waiting) return;
    const timer = setInterval(() => {
      if (!document.hidden && !isReconnecting.peek()) void loadThread(threadId);
    }, POLL_INTERVAL_MS);
    return () => clearInterval(timer);
  }, [threadId, waiting]);
  // When a tool call or a run ends, the server may have created the workspace.
  useSignalEffect(() => {
    if (changes.value > 0 && waiting) void loadThread(threadId);
  });
  return (
    <section class="files" aria-label="Files">
      <header class="panel-head">
        <h2>Files</h2>
        <code class="dim small">/workspace</code>
      </header>
      <p class="dim small">{waiting ? "No files yet. Files appear here when a run writes them." : "This thread has no files."}</p>
    </section>
  );
}
