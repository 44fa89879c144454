// The signed-in account: plan, credits, limits and models.
import type { AccountState } from "@runyard/client";
import { runyard } from "../client";
import { setPlanName } from "../errors";
import { Loadable } from "./loaded";

export const account = new Loadable<AccountState>();

export function loadAccount(): Promise<void> {
  return account.load(async () => {
    const state = await runyard().account.state();
    setPlanName(state.tierName);
    return state;
  });
}

/** Whether the server enforces no limits and charges no credits. Only such a server has unlimited concurrent runs. */
export function isUnlimited(state: AccountState): boolean {
  return state.concurrentRuns !== undefined && state.concurrentRuns.limit === undefined;
}
