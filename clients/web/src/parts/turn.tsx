// One turn of a thread: a task, its run, and the files of the run.
import { Download, FileText } from "lucide";
import { useSignal } from "@preact/signals";
import type { FileEntry, RunRecord, ThreadMessage } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { announce } from "../stores/announce";
import { files, kindOf, loadFiles, save } from "../stores/files";
import { retryStream, streamError, useRun } from "../stores/live";
import type { Turn } from "../stores/thread";
import { explainError } from "../errors";
import { dayAndTime } from "../view/format";
import { writtenBy } from "../view/output";
import type { Explained } from "../view/refusal";
import { hasEnded, isActive, lastAnswer, stateOf } from "../view/run";
import { RefusalNote, State } from "./basic";
import { Icon } from "./icon";
import { Markdown } from "./markdown";
import { Pictures, Workspace } from "./pictures";
import { LargePicture } from "./lightbox";
import { Failure, FinalOutput, RunBar, RunTrack, Unread } from "./run";
import { BranchBefore, RunActions, type TurnActions } from "./run_actions";
import { ParentLink } from "./subagent";

/** Without `fresh`, the run's steps are shown only on request. */
export function TurnView({
  turn,
  fresh,
  last,
  sandboxId,
  onFile,
  actions,
  onEnded,
}: {
  turn: Turn;
  fresh: boolean;
  last: boolean;
  sandboxId: string | null;
  onFile: (path: string) => void;
  actions: TurnActions & { branchBefore: (() => Promise<void>) | null };
  onEnded: () => void;
}) {
  const stepsRequested = useSignal(false);
  const withSteps = turn.run !== null && (fresh || stepsRequested.value);
  return (
    <Workspace.Provider value={{ sandboxId, onFile }}>
      <article class="turn" aria-label={turn.prompt ? `Task: ${turn.prompt.content.slice(0, 80)}` : "Message"}>
        {turn.prompt && (
          <div class="prompt">
            <div class="prompt-head small">
              <span>You</span>
              {turn.prompt.createdAt && <time class="dim push">{dayAndTime(turn.prompt.createdAt)}</time>}
              {actions.branchBefore && <BranchBefore onBranch={actions.branchBefore} />}
            </div>
            <p class="prompt-text">{turn.prompt.content}</p>
            <Pictures of={turn.prompt.attachments} label="Attached images" />
            {turn.prompt.files.length > 0 && (
              <ul class="prompt-files" aria-label="Attached files">
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
          <LiveRun
            run={turn.run}
            last={last}
            sandboxId={sandboxId}
            attached={turn.prompt?.files ?? []}
            added={turn.added}
            onFile={onFile}
            actions={actions}
            onEnded={onEnded}
          />
        ) : (
          <div class="older">
            {turn.answers.map((message) => message.content && <Markdown key={message.messageId} text={message.content} />)}
            {turn.run && (
              <div class="run-bar">
                <State of={stateOf(turn.run.status)} quiet />
                <button type="button" class="button button-small" onClick={() => (stepsRequested.value = true)}>
                  Show steps
                </button>
                <RunActions answer={isActive(turn.run.status) ? "" : answerOf(turn)} actions={actions} isPlain />
              </div>
            )}
            {!turn.run && (
              <div class="run-bar">
                <RunActions answer={answerOf(turn)} actions={actions} isPlain />
              </div>
            )}
          </div>
        )}
      </article>
    </Workspace.Provider>
  );
}

function LiveRun({
  run,
  last,
  sandboxId,
  attached,
  added,
  onFile,
  actions,
  onEnded,
}: {
  run: RunRecord;
  last: boolean;
  sandboxId: string | null;
  attached: readonly string[];
  added: readonly ThreadMessage[];
  onFile: (path: string) => void;
  actions: TurnActions;
  onEnded: () => void;
}) {
  const view = useRun(run.agentRunId).value;
  const ended = hasEnded(view);
  const streamFailure = streamError(run.agentRunId);
  useEffect(() => {
    if (ended && isActive(run.status)) onEnded();
  }, [ended]);
  return (
    <section class="run" aria-label={`Run, ${view.state}`}>
      {run.parentRunId && <ParentLink parentRunId={run.parentRunId} />}
      <RunTrack view={view} />
      <FinalOutput view={view} />
      <Unread view={view} added={added} />
      <Failure view={view} />
      {streamFailure && <RefusalNote explained={{ ...streamFailure, again: true }} onAgain={() => retryStream(run.agentRunId)} />}
      {last && sandboxId && (
        <Output
          runId={run.agentRunId}
          sandboxId={sandboxId}
          startedAt={view.startedAt ?? Number(run.createdAt ?? 0)}
          attached={attached}
          onFile={onFile}
        />
      )}
      <RunBar view={view} stopping={run.stopRequested}>
        <RunActions answer={ended ? lastAnswer(view) : ""} actions={ended ? actions : { ...actions, retry: null, branch: null }} isPlain={!ended || view.state === "completed"} />
      </RunBar>
    </section>
  );
}

function answerOf(turn: Turn): string {
  return turn.answers.findLast((message) => message.content)?.content ?? "";
}

// Files that the run wrote: up to 6 images, then up to 12 other files.
function Output({
  runId,
  sandboxId,
  startedAt,
  attached,
  onFile,
}: {
  runId: string;
  sandboxId: string;
  startedAt: number;
  attached: readonly string[];
  onFile: (path: string) => void;
}) {
  const refused = useSignal<Explained | null>(null);
  useEffect(() => {
    if (files.state.peek().value?.sandboxId !== sandboxId) void loadFiles(sandboxId);
  }, [sandboxId]);
  const written = files.value?.sandboxId === sandboxId ? writtenBy(files.value.files, startedAt, attached) : [];
  if (written.length === 0) return null;
  const pictures = written.filter((file) => kindOf(file) === "image" && file.size < 4_000_000).slice(0, 6);
  const others = written.filter((file) => !pictures.includes(file)).slice(0, 12);
  const download = async (file: FileEntry) => {
    try {
      await save(sandboxId, file);
      announce(`Downloaded ${file.name}`);
    } catch (error) {
      refused.value = explainError(error);
    }
  };
  return (
    <section class="run-output" aria-label="Output of this run" key={runId}>
      {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
      {pictures.map((file) => (
        <figure key={file.path} class="run-output-picture">
          <LargePicture sandboxId={sandboxId} path={file.path} version={Number(file.modifiedAt ?? 0)} />
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
        <ul class="run-output-files" aria-label="Other output files">
          {others.map((file) => (
            <li key={file.path}>
              <button type="button" class="chip" onClick={() => onFile(file.path)}>
                <Icon of={FileText} size={14} />
                {file.path}
              </button>
            </li>
          ))}
          {written.length > pictures.length + others.length && <li class="small dim">and {written.length - pictures.length - others.length} more</li>}
        </ul>
      )}
    </section>
  );
}
