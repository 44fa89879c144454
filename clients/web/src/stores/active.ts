// The runs that are at work in the account, looked at every few seconds while somebody sees them.
import { computed } from "@preact/signals";
import type { RunRecord } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { changes } from "./live";
import { Loadable } from "./loaded";

/** How often it is looked, in milliseconds. */
const EVERY = 5_000;

/** The runs that are at work, newest first. */
export const active = new Loadable<readonly RunRecord[]>();
/** The threads in which a run is at work. */
export const runningThreads = computed(() => new Set((active.value ?? []).map((run) => run.threadId)));

/** Looks again. */
export function loadActive(): Promise<void> {
  return active.load(() => runyard().agents.listActive({ pageSize: 200 }).all(200));
}

/** Keeps looking as long as the part is shown and the page is visible. */
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
