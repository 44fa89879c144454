// The runs screen: the active runs, and the newest finished runs.
import { ArrowUpRight } from "lucide";
import { useSignal } from "@preact/signals";
import type { RunRecord } from "@runyard/client";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { runyard } from "../client";
import { Empty, Meter, Note, RefusalNote, Spinner } from "../parts/basic";
import { Icon } from "../parts/icon";
import { Failure, RunBar, RunTrack } from "../parts/run";
import { RunActions } from "../parts/run_actions";
import { go } from "../router";
import { account, loadAccount } from "../stores/account";
import { active, loadActive } from "../stores/active";
import { openWithDraft } from "../stores/draft";
import { retryStream, streamError, isReconnecting, useRun } from "../stores/live";
import { Loadable } from "../stores/loaded";
import { findTask, retry } from "../stores/retry";
import { loadThreads, threads } from "../stores/threads";
import { counted, dayAndTime } from "../view/format";
import { hasEnded, lastAnswer } from "../view/run";

const MAX_RUNS = 24;
/** Maximum number of steps on a card, which shows the latest ones. */
const LAST_STEPS = 6;

const newest = new Loadable<readonly RunRecord[]>();

async function load(): Promise<void> {
  await newest.load(() => runyard().runs.list({ pageSize: MAX_RUNS }).all(MAX_RUNS));
  // Another client may have started a run in a thread that is not loaded yet.
  const known = new Set((threads.state.peek().value ?? []).map((thread) => thread.threadId));
  if (newest.state.peek().value?.some((run) => !known.has(run.threadId))) await loadThreads();
}

export function Board() {
  const only = useSignal<"all" | "active">("all");
  const at = active.value?.map((run) => run.agentRunId).join() ?? "";
  useEffect(() => {
    document.title = "Runs · Runyard";
    void loadActive();
  }, []);
  useEffect(() => {
    void load();
    void loadAccount();
  }, [at]);
  const { value, refused, loading } = newest.state.value;
  const activeIds = new Set((active.value ?? []).map((run) => run.agentRunId));
  const known = new Set((value ?? []).map((run) => run.agentRunId));
  const all = [...(active.value ?? []).filter((run) => !known.has(run.agentRunId)), ...(value ?? [])];
  const shown = only.value === "active" ? all.filter((run) => activeIds.has(run.agentRunId)) : all.slice(0, MAX_RUNS);
  const slots = account.value?.concurrentRuns;
  return (
    <div class="page page-wide">
      <div class="page-head">
        <h1>Runs</h1>
        <div class="switch" role="group" aria-label="Filter runs">
          <button type="button" aria-pressed={only.value === "all"} onClick={() => (only.value = "all")}>
            All
          </button>
          <button type="button" aria-pressed={only.value === "active"} onClick={() => (only.value = "active")}>
            Active <span class="badge">{activeIds.size}</span>
          </button>
        </div>
        {slots && (
          <div class="board-slots">
            <Meter label="Concurrent runs" used={activeIds.size} limit={slots.limit ?? null} />
          </div>
        )}
      </div>
      {isReconnecting.value && <Note kind="warning">The connection was interrupted. Reconnecting; no data is lost.</Note>}
      {refused && <RefusalNote explained={refused} onAgain={() => void load()} />}
      {!value && loading && <Spinner label="Loading runs" />}
      {value && shown.length === 0 && (
        <Empty title={only.value === "active" ? "No active runs" : "No runs yet"}>
          <p>This page shows your runs side by side, with each step as it happens.</p>
          <a class="button button-primary" href="#/">
            Start a run
          </a>
        </Empty>
      )}
      <ul class="board">
        {shown.map((run) => (
          <li key={run.agentRunId}>
            <Card run={run} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function Card({ run }: { run: RunRecord }) {
  const view = useRun(run.agentRunId).value;
  const place = useRef<HTMLDivElement>(null);
  const name = threads.value?.find((thread) => thread.threadId === run.threadId)?.name ?? "Thread";
  const streamFailure = streamError(run.agentRunId);
  useLayoutEffect(() => {
    if (place.current) place.current.scrollTop = place.current.scrollHeight;
  }, [view]);
  const ended = hasEnded(view);
  const again = async () => {
    await retry(run, await findTask(run));
    go(`/threads/${run.threadId}`);
  };
  const edit = async () => {
    const { agentId = "", modelRequested: model = "", mode } = run;
    openWithDraft(run.threadId, { prompt: await findTask(run), agentId, model, mode });
  };
  return (
    <article class={`board-card${ended ? "" : " board-card-live"}`} aria-label={`${name}, ${view.state}`}>
      <header>
        <h2>
          <a href={`#/threads/${run.threadId}`}>
            {name}
            <Icon of={ArrowUpRight} size={15} />
          </a>
        </h2>
        {run.createdAt && <time class="small dim numbers">{dayAndTime(run.createdAt)}</time>}
      </header>
      <div ref={place} class="board-steps" tabIndex={0} role="group" aria-label={`Latest steps of ${name}`}>
        {view.steps.length > LAST_STEPS && <p class="small dim">{counted(view.steps.length - LAST_STEPS, "earlier step")}</p>}
        <RunTrack view={view.steps.length > LAST_STEPS ? { ...view, steps: view.steps.slice(-LAST_STEPS) } : view} />
        <Failure view={view} />
      </div>
      {streamFailure && <RefusalNote explained={{ ...streamFailure, again: true }} onAgain={() => retryStream(run.agentRunId)} />}
      <footer>
        <RunBar view={view} stopping={run.stopRequested}>
          {ended && <RunActions answer={lastAnswer(view)} actions={{ retry: again, edit, branch: null }} isPlain />}
        </RunBar>
      </footer>
    </article>
  );
}
