// The active runs of the account, polled while the page is visible.
import { computed } from "@preact/signals";
import type { RunRecord } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { changes } from "./live";
import { Loadable } from "./loaded";

const POLL_INTERVAL_MS = 5_000;

/** Newest first. */
export const active = new Loadable<readonly RunRecord[]>();
export const runningThreads = computed(() => new Set((active.value ?? []).map((run) => run.threadId)));

export function loadActive(): Promise<void> {
  return active.load(() => runyard().agents.listActive({ pageSize: 200 }).all(200));
}

export function useActive(): void {
  useEffect(() => {
    void loadActive();
    const poll = () => {
      if (!document.hidden) void loadActive();
    };
    const timer = setInterval(poll, POLL_INTERVAL_MS);
    document.addEventListener("visibilitychange", poll);
    const stop = changes.subscribe((times) => {
      if (times > 0) poll();
    });
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", poll);
      stop();
    };
  }, []);
}
