// One thread: what was asked, the runs at work and done, the files they made, and where to go on.
import { Download, Ellipsis, FileText, FolderOpen, MessagesSquare, Pencil, Trash2 } from "lucide";
import { useSignal, useSignalEffect } from "@preact/signals";
import type { FileEntry, RunRecord } from "@runyard/client";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { runyard } from "../client";
import { Confirm, Dialog, Field, Note, RefusalNote, Spinner, State } from "../parts/basic";
import { Composer } from "../parts/composer";
import { FilesPanel } from "../parts/files";
import { Icon } from "../parts/icon";
import { Markdown } from "../parts/markdown";
import { Picture } from "../parts/preview";
import { Failure, RunBar, RunTrack } from "../parts/run";
import { go } from "../router";
import { loadAccount } from "../stores/account";
import { announce } from "../stores/announce";
import { files, filesChanged, kindOf, loadFiles, save } from "../stores/files";
import { changes, followAgain, givenUp, isAway, useRun } from "../stores/live";
import { type Turn, loadThread, turns, whole } from "../stores/thread";
import { loadThreads } from "../stores/threads";
import { trouble } from "../trouble";
import { ago, dayAndTime } from "../view/format";
import type { Explained } from "../view/refusal";
import { hasEnded } from "../view/run";

/** Runs whose steps are shown at once; the steps of older ones are shown when asked for. */
const NEWEST = 10;

/** One thread. */
export function ThreadScreen({ threadId }: { threadId: string }) {
  const chosen = useSignal<string | null>(null);
  const side = useSignal<"transcript" | "files">("transcript");
  const refused = useSignal<Explained | null>(null);
  useEffect(() => {
    if (whole.state.peek().value?.thread.threadId !== threadId) whole.clear();
    chosen.value = null;
    void loadThread(threadId);
    // What ended while nothing could be asked is asked for now.
    const look = () => void loadThread(threadId);
    addEventListener("online", look);
    let wasAway = false;
    const stop = isAway.subscribe((away) => {
      if (wasAway && !away) look();
      wasAway = away;
    });
    return () => {
      removeEventListener("online", look);
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
  const sandboxId = shown.runs.findLast((run) => run.sandboxId)?.sandboxId ?? null;
  return (
    <div class="thread" data-side={side.value}>
      <ThreadHead name={name} threadId={threadId} onRefused={(explained) => (refused.value = explained)} />
      {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
      <div class="sides" role="group" aria-label="What is shown">
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
      <div class="thread-body">
        <Transcript
          threadId={threadId}
          all={turns(shown)}
          sandboxId={sandboxId}
          onFile={(path) => {
            chosen.value = path;
            side.value = "files";
          }}
        />
        <aside class="thread-side" aria-label="Workspace">
          {sandboxId ? (
            <>
              <FilesPanel sandboxId={sandboxId} chosen={chosen.value} onChoose={(path) => (chosen.value = path)} />
              <FilesFollow sandboxId={sandboxId} />
            </>
          ) : (
            <SandboxWait threadId={threadId} waiting={shown.runs.some((run) => run.status === "running" && run.mode !== "chat")} />
          )}
        </aside>
      </div>
    </div>
  );
}

// Loads the files again whenever a tool or a run has ended.
function FilesFollow({ sandboxId }: { sandboxId: string }) {
  useSignalEffect(() => {
    if (changes.value > 0) filesChanged(sandboxId);
  });
  return null;
}

/** How often it is looked whether a workspace is there, in milliseconds. */
const LOOK_AGAIN = 1_500;

// The workspace of a new thread is made in the background.
function SandboxWait({ threadId, waiting }: { threadId: string; waiting: boolean }) {
  useEffect(() => {
    if (!waiting) return;
    const timer = setInterval(() => {
      if (!document.hidden) void loadThread(threadId);
    }, LOOK_AGAIN);
    return () => clearInterval(timer);
  }, [threadId, waiting]);
  return <p class="dim small files-none">{waiting ? "The workspace is being made." : "This thread has no files."}</p>;
}

function ThreadHead({ name, threadId, onRefused }: { name: string; threadId: string; onRefused: (explained: Explained | null) => void }) {
  const menu = useRef<HTMLDetailsElement>(null);
  const open = useSignal<"rename" | "delete" | null>(null);
  const next = useSignal(name);
  const close = () => menu.current?.removeAttribute("open");
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
        <summary class="button-icon" aria-label="More about this thread">
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
        <Dialog title="Rename this thread" onClose={() => (open.value = null)}>
          <form
            class="dialog-text"
            onSubmit={async (event) => {
              event.preventDefault();
              try {
                const thread = await runyard().threads.update(threadId, { name: next.value.trim() });
                const before = whole.state.peek().value;
                if (before) whole.set({ ...before, thread });
                void loadThreads();
              } catch (error) {
                onRefused(trouble(error));
              }
              open.value = null;
            }}
          >
            <Field label="Name">
              <input required maxLength={200} value={next.value} onInput={(event) => (next.value = event.currentTarget.value)} />
            </Field>
            <div class="dialog-actions">
              <button type="submit" class="button button-primary">
                Rename
              </button>
            </div>
          </form>
        </Dialog>
      )}
      {open.value === "delete" && (
        <Confirm
          title="Delete this thread?"
          action="Delete"
          onClose={() => (open.value = null)}
          onConfirm={async () => {
            try {
              await runyard().threads.delete(threadId);
              announce("The thread is deleted");
              void loadThreads();
              void loadAccount();
              go("/threads");
            } catch (error) {
              onRefused(trouble(error));
            }
          }}
        >
          <p>Its messages and runs go for good.</p>
        </Confirm>
      )}
    </header>
  );
}

function Transcript({
  threadId,
  all,
  sandboxId,
  onFile,
}: {
  threadId: string;
  all: readonly Turn[];
  sandboxId: string | null;
  onFile: (path: string) => void;
}) {
  const place = useRef<HTMLDivElement>(null);
  const stick = useStickToEnd(place, threadId);
  const older = all.length - NEWEST;
  const busy = useSignal(all.some((turn) => turn.run?.status === "running"));
  useEffect(() => {
    busy.value = all.some((turn) => turn.run?.status === "running");
  }, [all]);
  return (
    <div class="transcript">
      <div ref={place} class="turns" tabIndex={0} role="region" aria-label="Transcript">
        {all.map((turn, at) => (
          <TurnView
            key={turn.key}
            turn={turn}
            fresh={at >= older}
            last={at === all.length - 1}
            sandboxId={sandboxId}
            onFile={onFile}
            onEnded={() => {
              void loadThread(threadId);
              void loadAccount();
            }}
          />
        ))}
        {all.length === 0 && <p class="dim">Nothing was said here yet.</p>}
      </div>
      <div class="transcript-foot">
        {isAway.value && (
          <Note kind="warning">The connection is interrupted. It is being opened again; nothing is lost.</Note>
        )}
        <Composer
          threadId={threadId}
          busy={busy.value}
          onStarted={() => {
            stick();
            void loadThread(threadId);
            void loadThreads();
          }}
        />
      </div>
    </div>
  );
}

// Keeps the end in sight as long as the reader is there; scrolling up lets go of it.
function useStickToEnd(place: { current: HTMLDivElement | null }, threadId: string): () => void {
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return;
    atEnd.current = true;
    const toEnd = () => {
      if (atEnd.current) element.scrollTop = element.scrollHeight;
    };
    let before = element.scrollTop;
    // What grows below moves the end away; only a movement upwards is the reader's.
    const onScroll = () => {
      if (element.scrollHeight - element.scrollTop - element.clientHeight < 80) atEnd.current = true;
      else if (element.scrollTop < before - 1) atEnd.current = false;
      before = element.scrollTop;
    };
    const observer = new ResizeObserver(toEnd);
    const watchChildren = new MutationObserver(() => {
      observer.disconnect();
      observer.observe(element);
      for (const child of element.children) observer.observe(child);
    });
    watchChildren.observe(element, { childList: true });
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    element.addEventListener("scroll", onScroll, { passive: true });
    toEnd();
    return () => {
      observer.disconnect();
      watchChildren.disconnect();
      element.removeEventListener("scroll", onScroll);
    };
  }, [threadId]);
  return () => {
    atEnd.current = true;
  };
}

function TurnView({
  turn,
  fresh,
  last,
  sandboxId,
  onFile,
  onEnded,
}: {
  turn: Turn;
  fresh: boolean;
  last: boolean;
  sandboxId: string | null;
  onFile: (path: string) => void;
  onEnded: () => void;
}) {
  const asked = useSignal(false);
  const withSteps = turn.run !== null && (fresh || asked.value);
  return (
    <article class="turn" aria-label={turn.prompt ? `Task: ${turn.prompt.content.slice(0, 80)}` : "Message"}>
      {turn.prompt && (
        <div class="asked">
          <div class="asked-head small">
            <span>You</span>
            {turn.prompt.createdAt && <time class="dim">{dayAndTime(turn.prompt.createdAt)}</time>}
          </div>
          <p class="asked-text">{turn.prompt.content}</p>
          {turn.prompt.files.length > 0 && (
            <ul class="asked-files" aria-label="Files that came with it">
              {turn.prompt.files.map((path) => (
                <li key={path}>
                  <button type="button" class="chip" onClick={() => onFile(path)}>
                    <Icon of={FileText} size={14} />
                    {path}
                  </button>
                </li>
              ))}
            </ul>
          )}
        </div>
      )}
      {withSteps && turn.run ? (
        <LiveRun run={turn.run} last={last} sandboxId={sandboxId} onFile={onFile} onEnded={onEnded} />
      ) : (
        <div class="older">
          {turn.answers.map((message) => message.content && <Markdown key={message.messageId} text={message.content} />)}
          {turn.run && (
            <p class="small">
              <State of={turn.run.status === "unspecified" ? "running" : turn.run.status} quiet />{" "}
              <button type="button" class="button button-small" onClick={() => (asked.value = true)}>
                Show the steps
              </button>
            </p>
          )}
        </div>
      )}
    </article>
  );
}

function LiveRun({
  run,
  last,
  sandboxId,
  onFile,
  onEnded,
}: {
  run: RunRecord;
  last: boolean;
  sandboxId: string | null;
  onFile: (path: string) => void;
  onEnded: () => void;
}) {
  const view = useRun(run.agentRunId).value;
  const ended = hasEnded(view);
  const lost = givenUp(run.agentRunId);
  useEffect(() => {
    if (ended && run.status === "running") onEnded();
  }, [ended]);
  return (
    <section class="run" aria-label={`Run, ${view.state}`}>
      <RunTrack view={view} />
      <Failure view={view} />
      {lost && <RefusalNote explained={{ ...lost, again: true }} onAgain={() => followAgain(run.agentRunId)} />}
      {last && sandboxId && <Made run={run} sandboxId={sandboxId} since={view.startedAt ?? Number(run.createdAt ?? 0)} onFile={onFile} />}
      <RunBar view={view} stopping={run.stopRequested} />
    </section>
  );
}

// What the last run has made, pictures first: they are what people look for.
function Made({ run, sandboxId, since, onFile }: { run: RunRecord; sandboxId: string; since: number; onFile: (path: string) => void }) {
  const refused = useSignal<Explained | null>(null);
  useEffect(() => {
    if (files.state.peek().value?.sandboxId !== sandboxId) void loadFiles(sandboxId);
  }, [sandboxId]);
  const list = files.value?.sandboxId === sandboxId ? files.value.files : [];
  const made = list.filter((file) => !file.isDir && file.modifiedAt && Number(file.modifiedAt) >= since);
  if (made.length === 0) return null;
  const pictures = made.filter((file) => kindOf(file) === "image" && file.size < 4_000_000).slice(0, 6);
  const others = made.filter((file) => !pictures.includes(file)).slice(0, 12);
  const download = async (file: FileEntry) => {
    try {
      await save(sandboxId, file);
      announce(`${file.name} is saved`);
    } catch (error) {
      refused.value = trouble(error);
    }
  };
  return (
    <section class="made" aria-label="Made in this run" key={run.agentRunId}>
      {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
      {pictures.map((file) => (
        <figure key={file.path} class="made-picture">
          <Picture sandboxId={sandboxId} path={file.path} version={Number(file.modifiedAt ?? 0)} />
          <figcaption>
            <button type="button" class="chip" onClick={() => onFile(file.path)}>
              {file.path}
            </button>
            <button type="button" class="button button-small push" aria-label={`Download ${file.name}`} onClick={() => void download(file)}>
              <Icon of={Download} size={15} />
              Download
            </button>
          </figcaption>
        </figure>
      ))}
      {others.length > 0 && (
        <ul class="made-files" aria-label="Files made in this run">
          {others.map((file) => (
            <li key={file.path}>
              <button type="button" class="chip" onClick={() => onFile(file.path)}>
                <Icon of={FileText} size={14} />
                {file.path}
              </button>
            </li>
          ))}
          {made.length > pictures.length + others.length && <li class="small dim">and {made.length - pictures.length - others.length} more</li>}
        </ul>
      )}
    </section>
  );
}

/** How long ago something was, for lists. */
export function Ago({ at, now }: { at: Date | undefined; now: number }) {
  return at ? <time dateTime={at.toISOString()}>{ago(at, now)}</time> : null;
}
