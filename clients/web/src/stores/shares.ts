// The shares of the thread whose dialog is open, and the client of a reader.
import { Runyard, type Share } from "@runyard/client";
import { runyard } from "../client";
import { Loadable } from "./loaded";

/** A thread has up to 20 shares. */
const MAX_SHARES = 100;

/** Newest first. */
export const shares = new Loadable<readonly Share[]>();

export function loadShares(threadId: string): Promise<void> {
  return shares.load(() => runyard().shares.list({ threadId, pageSize: MAX_SHARES }).all(MAX_SHARES));
}

/** The token is in the fragment, which browsers never send, so it reaches no log. */
export function linkOf(token: string): string {
  return `${location.origin}${location.pathname}#/shared/${token}`;
}

/** A client without a credential, because a reader may have none. */
export function reader(): Runyard {
  return new Runyard({ baseUrl: location.origin, token: "" });
}
