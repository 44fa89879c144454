// The agents of the account.
import type { Agent } from "@runyard/client";
import { runyard } from "../client";
import { Loadable } from "./loaded";

const MAX_AGENTS = 1_000;

/** Newest first. */
export const agents = new Loadable<readonly Agent[]>();

export function loadAgents(): Promise<void> {
  return agents.load(() => runyard().agents.list({ pageSize: 200, orderBy: "created_at desc" }).all(MAX_AGENTS));
}
