// The agents of the account.
import type { Agent } from "@runyard/client";
import { runyard } from "../client";
import { Loadable } from "./loaded";

/** Agents that are listed at most. */
const MOST = 1_000;

/** All agents, newest first. */
export const agents = new Loadable<readonly Agent[]>();

/** Loads the agents again. */
export function loadAgents(): Promise<void> {
  return agents.load(() => runyard().agents.list({ pageSize: 200, orderBy: "created_at desc" }).all(MOST));
}
