// The triggers of the account.
import type { Trigger } from "@runyard/client";
import { runyard } from "../client";
import { Loadable } from "./loaded";

const MAX_TRIGGERS = 200;

/** Newest first. */
export const triggers = new Loadable<readonly Trigger[]>();

export function loadTriggers(): Promise<void> {
  return triggers.load(() => runyard().triggers.list({ pageSize: MAX_TRIGGERS }).all(MAX_TRIGGERS));
}
