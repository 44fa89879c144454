// The account: its plan, credits, limits and models.
import type { AccountState } from "@runyard/client";
import { runyard } from "../client";
import { knowPlan } from "../trouble";
import { Loadable } from "./loaded";

/** The account of who is signed in. */
export const account = new Loadable<AccountState>();

/** Loads the account again. */
export function loadAccount(): Promise<void> {
  return account.load(async () => {
    const state = await runyard().account.state();
    knowPlan(state.tierName);
    return state;
  });
}

/** Whether the installation enforces no plans and charges nothing: only then is there no limit of runs at once. */
export function isUnlimited(state: AccountState): boolean {
  return state.concurrentRuns !== undefined && state.concurrentRuns.limit === undefined;
}
