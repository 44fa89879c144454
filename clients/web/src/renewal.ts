// Renews the token of a sign-in at the identity provider before it expires.
//
// Many providers accept a refresh token only once, and end the whole sign-in if they see it twice. So one tab renews for all
// tabs: the tab that holds a lock (Web Locks) with the name of the sign-in. The other tabs receive the new token. When that
// tab closes, the browser gives the lock to another one.
import { computed, effect } from "@preact/signals";
import { readyProvider } from "./provider";
import { type Grant, grant, renewalsWanted, renewed, signOut, synchronize, token } from "./session";
import { placeOf } from "./sign_in";
import { wantRenewal } from "./tabs";
import { explainRenewal, isPassing } from "./view/sign_in";

/** Longest time between a renewal and the expiry. Browsers run the timers of a hidden tab only once per minute. */
const MAX_AHEAD_MS = 120_000;
/** Longest sleep. A device that was suspended notices an expired token after this time, or at the next request. */
const MAX_SLEEP_MS = 30_000;
/** Time after the expiry for which a renewal is tried while the provider cannot be reached. */
const GRACE_MS = 60_000;
const MAX_PAUSE_MS = 15_000;
/** Maximum time for which a request waits for the renewal of an expired token. */
const MAX_WAIT_MS = 15_000;
/** A token that expires within this time is not used for a request. */
const MIN_LEFT_MS = 1_000;

const renewable = computed(() => (grant.value !== null && grant.value.refreshToken !== null && grant.value.expiresAt !== null ? grant.value.id : null));

/** Whether the token of the current sign-in can be renewed. */
export const isRenewable = computed(() => renewable.value !== null);

/** Renews the token of each sign-in as long as the user is signed in. */
export function keepRenewing(): void {
  effect(() => {
    const id = renewable.value;
    // Browsers have locks only where they permit the sign-in itself: on https and on localhost.
    if (id === null || typeof navigator.locks === "undefined") return;
    // Loaded now, because a newer server no longer has this file.
    import("./oidc").catch(() => {});
    const stop = new AbortController();
    const work = () => renewUntil(id, stop.signal);
    navigator.locks.request(`runyard.renewal.${id}`, { signal: stop.signal }, work).catch(() => {
      // The user signed out before this tab got the lock.
    });
    return () => stop.abort();
  });
}

/** Returns a token for a request. If the token has expired, waits for its renewal. */
export async function freshToken(): Promise<string> {
  const current = grant.peek();
  if (current && isRenewable.peek() && left(current) < MIN_LEFT_MS) {
    renewalsWanted.value += 1;
    wantRenewal(current.id);
    await change(() => grant.value !== current, MAX_WAIT_MS);
  }
  return token.peek() ?? "";
}

async function renewUntil(id: string, stop: AbortSignal): Promise<void> {
  // The tab that held the lock before may have renewed the token at its end.
  await synchronize();
  for (;;) {
    await untilDue(stop);
    const current = grant.peek();
    if (stop.aborted || current?.id !== id) return;
    await renewNow(current, stop);
  }
}

async function renewNow(current: Grant, stop: AbortSignal): Promise<void> {
  const end = Math.max(current.expiresAt ?? 0, Date.now()) + GRACE_MS;
  for (let failures = 0; !stop.aborted; failures += 1) {
    const provider = await readyProvider();
    let problem = "Your sign-in could not be renewed, because the server cannot reach the identity provider. Sign in again.";
    try {
      if (provider) {
        const { renew } = await import("./oidc");
        const session = await renew(provider, current);
        if (!stop.aborted) renewed(session);
        return;
      }
    } catch (error) {
      problem = explainRenewal(error, placeOf(provider!));
      if (!isPassing(error)) return stop.aborted ? undefined : signOut(problem);
    }
    if (Date.now() >= end) return stop.aborted ? undefined : signOut(problem);
    await pause(Math.min(MAX_PAUSE_MS, 1_000 * 2 ** failures), stop);
  }
}

/** Waits until the token expires soon, or until a tab wants a renewal of an expired token. */
async function untilDue(stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    const current = grant.peek();
    if (!current) return;
    const rest = left(current) - Math.min(MAX_AHEAD_MS, (current.lifetimeMs ?? 0) / 3);
    if (rest <= 0) return;
    const wanted = renewalsWanted.peek();
    const sleep = new AbortController();
    stop.addEventListener("abort", () => sleep.abort(), { signal: sleep.signal });
    await Promise.race([pause(Math.min(rest, MAX_SLEEP_MS), sleep.signal), change(() => renewalsWanted.value !== wanted, MAX_SLEEP_MS)]);
    sleep.abort();
  }
}

function left(of: Grant): number {
  return (of.expiresAt ?? Infinity) - Date.now();
}

/** Resolves when `holds`, which reads signals, returns true, or after a time. */
function change(holds: () => boolean, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    let end = () => {};
    const timer = setTimeout(() => {
      end();
      resolve();
    }, timeoutMs);
    end = effect(() => {
      if (!holds()) return;
      clearTimeout(timer);
      resolve();
      queueMicrotask(() => end());
    });
  });
}

function pause(milliseconds: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) return resolve();
    const timer = setTimeout(done, milliseconds);
    stop.addEventListener("abort", done, { once: true });
    function done() {
      clearTimeout(timer);
      stop.removeEventListener("abort", done);
      resolve();
    }
  });
}
