// The active runs of the account, polled every few seconds while the page is visible.
import { computed } from "@preact/signals";
import type { RunRecord } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { changes } from "./live";
import { Loadable } from "./loaded";

/** Polling interval in milliseconds. */
const EVERY = 5_000;

/** The active runs, newest first. */
export const active = new Loadable<readonly RunRecord[]>();
/** The ids of threads with an active run. */
export const runningThreads = computed(() => new Set((active.value ?? []).map((run) => run.threadId)));

/** Reloads the active runs. */
export function loadActive(): Promise<void> {
  return active.load(() => runyard().agents.listActive({ pageSize: 200 }).all(200));
}

/** Polls the active runs while the component is mounted and the page is visible. */
export function useActive(): void {
  useEffect(() => {
    void loadActive();
    const look = () => {
      if (!document.hidden) void loadActive();
    };
    const timer = setInterval(look, EVERY);
    document.addEventListener("visibilitychange", look);
    const stop = changes.subscribe((times) => {
      if (times > 0) look();
    });
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
      stop();
    };
  }, []);
}
