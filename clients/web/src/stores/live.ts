// The runs that somebody watches: a view for each, drawn once a frame. The client carries all of them over one stream.
//
// The client keeps the stream up while the server or the network is away, and goes on from each run's cursor. What a reader
// sees then goes on without a gap or a repeat, because a view takes each event once.
import { type Signal, computed, signal } from "@preact/signals";
import type { ConnectionState, RunEvent } from "@runyard/client";
import { useEffect, useMemo } from "preact/hooks";
import { runyard } from "../client";
import { trouble } from "../trouble";
import type { Explained } from "../view/refusal";
import { type RunView, advance, hasEnded, unseen } from "../view/run";
import { announce } from "./announce";

/** Counts the ends of runs and of tools: what a run has made may have changed. */
export const changes = signal(0);
/** The runs whose stream is interrupted. */
const away: Signal<ReadonlySet<string>> = signal(new Set());
/** Why runs could not be followed any further, by run. */
const given: Signal<ReadonlyMap<string, Explained>> = signal(new Map());
/** Whether the stream is interrupted and is being opened again. */
export const isAway = computed(() => away.value.size > 0);

/** Views that are kept after nobody watches their runs. */
const MOST_KEPT = 60;
/** Events of one run that wait to be drawn before its stream is held back. */
const MOST_QUEUED = 1_000;
/** Events that are taken off the stream in one go; then the page may do something else. */
const AT_ONCE = 100;

interface Watched {
  view: Signal<RunView>;
  watchers: number;
  following: AbortController | null;
  queue: RunEvent[];
  roomAgain: (() => void) | null;
  /** Whether it was seen at work, so that its end is news. */
  wasAtWork: boolean;
}

const runs = new Map<string, Watched>();
let drawing = false;

/** The view of a run, kept up to date as long as the part is shown. */
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
    // A part that is only moved watches again at once.
    queueMicrotask(() => {
      if (run.watchers === 0) leave(runId, run);
      tidy();
    });
  };
}

/** Why a run cannot be followed, when it cannot. */
export function givenUp(runId: string): Explained | null {
  return given.value.get(runId) ?? null;
}

/** Follows a run again that was given up. */
export function followAgain(runId: string): void {
  const run = runs.get(runId);
  if (run && run.watchers > 0) void follow(runId, run);
}

/** Forgets everything, when somebody signs out. */
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

// What is awaited otherwise goes on in the same task, however long that gets.
function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

function leave(runId: string, run: Watched): void {
  run.following?.abort();
  run.following = null;
  // What was queued lies behind the cursor; it comes again when somebody watches.
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
    if (away.peek().size === 0) announce("The connection is interrupted");
    away.value = new Set(away.peek()).add(runId);
  } else {
    const left = new Set(away.peek());
    left.delete(runId);
    if (left.size === 0 && connection.state === "open") announce("The connection is back");
    away.value = left;
  }
}

function without(map: Signal<ReadonlyMap<string, Explained>>, key: string): void {
  if (!map.peek().has(key)) return;
  const left = new Map(map.peek());
  left.delete(key);
  map.value = left;
}

// A hidden page draws no frames, but its runs go on.
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
      if (run.wasAtWork) announce(`The run has ${after.state}`);
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
