// The schedules of the account, and the history of the open one.
import { signal } from "@preact/signals";
import type { Schedule, ScheduleRun } from "@runyard/client";
import { runyard } from "../client";
import { Loadable } from "./loaded";

const MAX_SCHEDULES = 200;
const PAGE = 50;

/** Newest first. */
export const schedules = new Loadable<readonly Schedule[]>();
/** Occurrences of one schedule, newest first. */
export const history = new Loadable<readonly ScheduleRun[]>();
/** The token of the next page; empty when all occurrences are loaded. */
export const moreHistory = signal("");

export function loadSchedules(): Promise<void> {
  return schedules.load(() => runyard().schedules.list({ pageSize: MAX_SCHEDULES }).all(MAX_SCHEDULES));
}

export function loadHistory(scheduleId: string): Promise<void> {
  return history.load(async () => {
    const page = await runyard().schedules.runs(scheduleId, { pageSize: PAGE });
    moreHistory.value = page.nextPageToken;
    return page.items;
  });
}

export function loadMoreHistory(scheduleId: string): Promise<void> {
  const before = history.state.peek().value ?? [];
  return history.load(async () => {
    const page = await runyard().schedules.runs(scheduleId, { pageSize: PAGE, pageToken: moreHistory.peek() });
    moreHistory.value = page.nextPageToken;
    return [...before, ...page.items];
  });
}
