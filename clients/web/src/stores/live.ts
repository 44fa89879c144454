// Live views of the runs on the screen. One stream delivers the events of all runs, and each frame updates the views
// once.
//
// After an outage, the stream resumes at each run's cursor. A view applies each event once, so text has no gaps and
// no repetitions.
import { type Signal, computed, signal } from "@preact/signals";
import type { ConnectionState, RunEvent } from "@runyard/client";
import { useEffect, useMemo } from "preact/hooks";
import { runyard } from "../client";
import { explainError } from "../errors";
import type { Explained } from "../view/refusal";
import { type RunView, advance, hasEnded, emptyView } from "../view/run";
import { announce } from "./announce";
import { learnModel } from "./demo";

/** Increases when a run or a tool call ends or waits, because workspace files and pending inputs may have changed. */
export const changes = signal(0);
const reconnecting: Signal<ReadonlySet<string>> = signal(new Set());
/** Errors that ended a run's stream, by run id. */
const streamErrors: Signal<ReadonlyMap<string, Explained>> = signal(new Map());
export const isReconnecting = computed(() => reconnecting.value.size > 0);

/** Maximum number of views without a watching component. */
const MAX_IDLE_VIEWS = 60;
/**
 * Maximum number of a run's events that wait for rendering. While the queue is full, the run's stream is not read.
 */
const MAX_QUEUED = 1_000;
/** Number of events after which other tasks of the page get a turn. */
const EVENTS_PER_TASK = 100;

interface Watched {
  view: Signal<RunView>;
  watchers: number;
  following: AbortController | null;
  queue: RunEvent[];
  resume: (() => void) | null;
  /** Whether the run was active while watched. Only the end of such a run is announced. */
  wasActive: boolean;
}

const runs = new Map<string, Watched>();
let updateScheduled = false;

/** The view of a run, updated while the component is mounted. */
export function useRun(runId: string): Signal<RunView> {
  const view = useMemo(() => entry(runId).view, [runId]);
  useEffect(() => watch(runId), [runId]);
  return view;
}

/** Watches a run. The returned function ends the watch. */
export function watch(runId: string): () => void {
  const run = entry(runId);
  run.watchers += 1;
  if (run.watchers === 1) void follow(runId, run);
  return () => {
    run.watchers -= 1;
    // A component that moves in the tree stops watching and immediately watches again. The microtask runs after both
    // steps, so the run's stream stays open.
    queueMicrotask(() => {
      if (run.watchers === 0) stopFollowing(runId, run);
      dropIdleViews();
    });
  };
}

export function streamError(runId: string): Explained | null {
  return streamErrors.value.get(runId) ?? null;
}

export function retryStream(runId: string): void {
  const run = runs.get(runId);
  if (run && run.watchers > 0) void follow(runId, run);
}

export function forgetRuns(): void {
  for (const [runId, run] of runs) stopFollowing(runId, run);
  runs.clear();
  streamErrors.value = new Map();
}

function entry(runId: string): Watched {
  let run = runs.get(runId);
  if (!run) {
    run = { view: signal(emptyView(runId)), watchers: 0, following: null, queue: [], resume: null, wasActive: false };
    runs.set(runId, run);
  }
  return run;
}

async function follow(runId: string, run: Watched): Promise<void> {
  if (run.following || hasEnded(run.view.peek())) return;
  const abort = new AbortController();
  run.following = abort;
  removeKey(streamErrors, runId);
  try {
    const events = runyard().runs.stream(runId, {
      afterSequence: run.view.peek().last,
      signal: abort.signal,
      onConnection: (connection) => {
        if (run.following === abort) updateConnection(runId, connection);
      },
    });
    let received = 0;
    for await (const event of events) {
      if (run.following !== abort) return;
      run.queue.push(event);
      scheduleUpdate();
      received += 1;
      if (received % EVENTS_PER_TASK === 0) await nextTask();
      if (run.queue.length >= MAX_QUEUED) await new Promise<void>((resolve) => (run.resume = resolve));
    }
  } catch (error) {
    const explained = run.following === abort ? explainError(error) : null;
    if (explained) streamErrors.value = new Map(streamErrors.value).set(runId, explained);
  } finally {
    if (run.following === abort) {
      run.following = null;
      updateConnection(runId, { state: "closed" });
    }
  }
}

// Waits for a new macrotask, so that the page can respond. An `await` of an available value would continue in the same
// task.
function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

function stopFollowing(runId: string, run: Watched): void {
  run.following?.abort();
  run.following = null;
  // The view has not applied the queued events, so the run's next stream delivers them again.
  run.queue = [];
  run.resume?.();
  run.resume = null;
  updateConnection(runId, { state: "closed" });
}

function updateConnection(runId: string, connection: ConnectionState): void {
  const isWaiting = connection.state === "waiting" || (connection.state === "connecting" && connection.attempt > 1);
  const was = reconnecting.peek().has(runId);
  if (isWaiting === was) return;
  if (isWaiting) {
    if (reconnecting.peek().size === 0) announce("The connection was interrupted");
    reconnecting.value = new Set(reconnecting.peek()).add(runId);
  } else {
    const rest = new Set(reconnecting.peek());
    rest.delete(runId);
    if (rest.size === 0 && connection.state === "open") announce("Connection restored");
    reconnecting.value = rest;
  }
}

function removeKey(map: Signal<ReadonlyMap<string, Explained>>, key: string): void {
  if (!map.peek().has(key)) return;
  const rest = new Map(map.peek());
  rest.delete(key);
  map.value = rest;
}

// A hidden page renders no frames, so a timer updates its views.
function scheduleUpdate(): void {
  if (updateScheduled) return;
  updateScheduled = true;
  if (document.hidden) setTimeout(applyQueued, 200);
  else requestAnimationFrame(applyQueued);
}

function applyQueued(): void {
  updateScheduled = false;
  let changed = false;
  for (const run of runs.values()) {
    if (run.queue.length === 0) continue;
    const batch = run.queue;
    run.queue = [];
    const before = run.view.peek();
    const after = advance(before, batch);
    run.view.value = after;
    learnModel(after);
    changed ||= batch.some((event) => event.type === "tool_result" || event.type === "input_answered" || (event.type === "status" && event.status !== "running"));
    if (after.state === "waiting" && before.state !== "waiting" && run.wasActive) announce("The run waits for you");
    if (hasEnded(after)) {
      if (run.wasActive) announce(`Run ${after.state}`);
      run.wasActive = false;
    } else run.wasActive = true;
    run.resume?.();
    run.resume = null;
  }
  if (changed) changes.value += 1;
}

function dropIdleViews(): void {
  const idle = [...runs].filter(([, run]) => run.watchers === 0 && run.view.peek().last > 0);
  for (const [runId] of idle.slice(0, Math.max(0, idle.length - MAX_IDLE_VIEWS))) runs.delete(runId);
}
