// The active runs of the account, polled while the page is visible.
import { computed } from "@preact/signals";
import type { RunRecord } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { loadPending } from "./inputs";
import { changes } from "./live";
import { Loadable } from "./loaded";

const POLL_INTERVAL_MS = 5_000;

/** Newest first. */
export const active = new Loadable<readonly RunRecord[]>();
export const runningThreads = computed(() => threadsOf("running"));
export const waitingThreads = computed(() => threadsOf("waiting"));

function threadsOf(status: RunRecord["status"]): ReadonlySet<string> {
  return new Set((active.value ?? []).filter((run) => run.status === status).map((run) => run.threadId));
}

export async function loadActive(): Promise<void> {
  await active.load(() => runyard().agents.listActive({ pageSize: 200 }).all(200));
  await loadPending(active.state.peek().value?.some((run) => run.status === "waiting") ?? false);
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
