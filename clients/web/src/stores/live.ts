// Live views of the runs on the screen, updated at most once per frame. The client receives the events of all runs over one
// stream.
//
// After an outage, the client reconnects and resumes each run from its cursor. A view applies each event once, so the user sees
// neither gaps nor repeated text.
import { type Signal, computed, signal } from "@preact/signals";
import type { ConnectionState, RunEvent } from "@runyard/client";
import { useEffect, useMemo } from "preact/hooks";
import { runyard } from "../client";
import { trouble } from "../trouble";
import type { Explained } from "../view/refusal";
import { type RunView, advance, hasEnded, unseen } from "../view/run";
import { announce } from "./announce";

/** Increases when a run or a tool call ends, because files may have changed. */
export const changes = signal(0);
/** The ids of runs whose stream is interrupted. */
const away: Signal<ReadonlySet<string>> = signal(new Set());
/** Maps a run id to the error that ended the run's stream. */
const given: Signal<ReadonlyMap<string, Explained>> = signal(new Map());
/** Whether the stream is interrupted and the client is reconnecting. */
export const isAway = computed(() => away.value.size > 0);

/** Maximum number of views that are kept for runs that no component watches. */
const MOST_KEPT = 60;
/** Maximum number of received events per run that are not rendered yet. While the queue is full, the stream is not read. */
const MOST_QUEUED = 1_000;
/** Number of events that are read before yielding to other tasks of the page. */
const AT_ONCE = 100;

interface Watched {
  view: Signal<RunView>;
  watchers: number;
  following: AbortController | null;
  queue: RunEvent[];
  roomAgain: (() => void) | null;
  /** Whether the run was active while it was watched. Only the end of such a run is announced. */
  wasAtWork: boolean;
}

const runs = new Map<string, Watched>();
let drawing = false;

/** The view of a run, kept up to date while the component is mounted. */
export function useRun(runId: string): Signal<RunView> {
  const view = useMemo(() => entry(runId).view, [runId]);
  useEffect(() => watch(runId), [runId]);
  return view;
}

/** Watches a run until the returned function is called. */
export function watch(runId: string): () => void {
  const run = entry(runId);
  run.watchers += 1;
  if (run.watchers === 1) void follow(runId, run);
  return () => {
    run.watchers -= 1;
    // A component that moves in the tree stops watching and immediately watches again. The microtask runs afterwards, so the run's
    // stream stays open.
    queueMicrotask(() => {
      if (run.watchers === 0) leave(runId, run);
      tidy();
    });
  };
}

/** Returns the error that ended the run's stream, or null. */
export function givenUp(runId: string): Explained | null {
  return given.value.get(runId) ?? null;
}

/** Follows a run again after an error. */
export function followAgain(runId: string): void {
  const run = runs.get(runId);
  if (run && run.watchers > 0) void follow(runId, run);
}

/** Drops all views. Called on sign-out. */
export function forgetRuns(): void {
  for (const [runId, run] of runs) leave(runId, run);
  runs.clear();
  given.value = new Map();
}

function entry(runId: string): Watched {
  let run = runs.get(runId);
  if (!run) {
    run = { view: signal(unseen(runId)), watchers: 0, following: null, queue: [], roomAgain: null, wasAtWork: false };
    runs.set(runId, run);
  }
  return run;
}

async function follow(runId: string, run: Watched): Promise<void> {
  if (run.following || hasEnded(run.view.peek())) return;
  const mine = new AbortController();
  run.following = mine;
  without(given, runId);
  try {
    const events = runyard().runs.stream(runId, {
      afterSequence: run.view.peek().last,
      signal: mine.signal,
      onConnection: (connection) => {
        if (run.following === mine) heard(runId, connection);
      },
    });
    let taken = 0;
    for await (const event of events) {
      if (run.following !== mine) return;
      run.queue.push(event);
      draw();
      taken += 1;
      if (taken % AT_ONCE === 0) await nextTask();
      if (run.queue.length >= MOST_QUEUED) await new Promise<void>((resolve) => (run.roomAgain = resolve));
    }
  } catch (error) {
    const explained = run.following === mine ? trouble(error) : null;
    if (explained) given.value = new Map(given.value).set(runId, explained);
  } finally {
    if (run.following === mine) {
      run.following = null;
      heard(runId, { state: "closed" });
    }
  }
}

// Waits for a new macrotask, so that the page can respond. An `await` of a value that is already available continues in the same
// task and would block the page.
function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

function leave(runId: string, run: Watched): void {
  run.following?.abort();
  run.following = null;
  // The queued events can be dropped: the view has not applied them, so the next watcher receives them again.
  run.queue = [];
  run.roomAgain?.();
  run.roomAgain = null;
  heard(runId, { state: "closed" });
}

function heard(runId: string, connection: ConnectionState): void {
  const isWaiting = connection.state === "waiting" || (connection.state === "connecting" && connection.attempt > 1);
  const was = away.peek().has(runId);
  if (isWaiting === was) return;
  if (isWaiting) {
    if (away.peek().size === 0) announce("The connection was interrupted");
    away.value = new Set(away.peek()).add(runId);
  } else {
    const left = new Set(away.peek());
    left.delete(runId);
    if (left.size === 0 && connection.state === "open") announce("Connection restored");
    away.value = left;
  }
}

function without(map: Signal<ReadonlyMap<string, Explained>>, key: string): void {
  if (!map.peek().has(key)) return;
  const left = new Map(map.peek());
  left.delete(key);
  map.value = left;
}

// A hidden page renders no frames, so it uses a timer.
function draw(): void {
  if (drawing) return;
  drawing = true;
  if (document.hidden) setTimeout(takeIn, 200);
  else requestAnimationFrame(takeIn);
}

function takeIn(): void {
  drawing = false;
  let changed = false;
  for (const run of runs.values()) {
    if (run.queue.length === 0) continue;
    const batch = run.queue;
    run.queue = [];
    const after = advance(run.view.peek(), batch);
    run.view.value = after;
    changed ||= batch.some((event) => event.type === "tool_result" || (event.type === "status" && event.status !== "running"));
    if (hasEnded(after)) {
      if (run.wasAtWork) announce(`Run ${after.state}`);
      run.wasAtWork = false;
    } else run.wasAtWork = true;
    run.roomAgain?.();
    run.roomAgain = null;
  }
  if (changed) changes.value += 1;
}

function tidy(): void {
  const idle = [...runs].filter(([, run]) => run.watchers === 0 && run.view.peek().last > 0);
  for (const [runId] of idle.slice(0, Math.max(0, idle.length - MOST_KEPT))) runs.delete(runId);
}
