// Renews the token of a sign-in at the identity provider before it expires.
//
// Many providers accept a refresh token only once, and end the whole sign-in if they see it twice. So one tab renews for all
// tabs: the tab that holds a lock (Web Locks) with the name of the sign-in. The other tabs receive the new token. When that
// tab closes, the browser gives the lock to another one.
import { computed, effect } from "@preact/signals";
import { RunyardError } from "@runyard/client";
import { provider, readyProvider } from "./provider";
import { type Grant, grant, isRenewable, needsRenewal, renewalsWanted, renewed, sessionStorageOrNull, signOut, synchronize, token } from "./session";
import { placeOf } from "./sign_in";
import { wantRenewal } from "./tabs";
import { RENEWAL_PENDING } from "./view/refusal";
import { explainRenewal, isPassing } from "./view/sign_in";

/** Marks a tab that was reloaded for a new content security policy. */
const RELOADED_KEY = "runyard.reloaded";
/** Longest time between a renewal and the expiry. Browsers run the timers of a hidden tab only once per minute. */
const MAX_AHEAD_MS = 120_000;
/** Longest sleep. A device that was suspended notices an expired token after this time, or at the next request. */
const MAX_SLEEP_MS = 30_000;
/** Time after the expiry for which a renewal is tried while the provider cannot be reached. */
const GRACE_MS = 60_000;
const MAX_PAUSE_MS = 15_000;
/** Maximum time for which one attempt of a request waits for the renewal of an expired token. */
const MAX_WAIT_MS = 5_000;

const renewable = computed(() => (isRenewable.value ? grant.value!.id : null));

/** Renews the token of each sign-in as long as the user is signed in. */
export function keepRenewing(): void {
  addEventListener("securitypolicyviolation", reloadIfBlocked);
  effect(() => {
    const id = renewable.value;
    if (id === null) return;
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

/** Returns a token for a request. If the token has expired, waits for its renewal, and throws if that takes too long. */
export async function freshToken(): Promise<string> {
  const current = grant.peek();
  if (current && needsRenewal()) {
    renewalsWanted.value += 1;
    wantRenewal(current.id);
    await change(() => grant.value !== current, MAX_WAIT_MS);
    if (grant.peek() === current) {
      // Streams and other requests that are safe to repeat try again after an error of this kind.
      throw new RunyardError({ errorCode: RENEWAL_PENDING, kind: "unavailable", message: "your sign-in is being renewed, and the identity provider has not answered yet" });
    }
  }
  return token.peek() ?? "";
}

// A page that was loaded while the server did not know the provider's endpoints has a policy that blocks the renewal.
function reloadIfBlocked({ effectiveDirective, blockedURI }: SecurityPolicyViolationEvent): void {
  const endpoint = provider.peek()?.server?.token_endpoint;
  const store = sessionStorageOrNull();
  if (!isRenewable.peek() || effectiveDirective !== "connect-src" || endpoint === undefined || !blockedURI.startsWith(new URL(endpoint).origin)) return;
  // A second reload would not help: the server still does not know the endpoints.
  if (!store || store.getItem(RELOADED_KEY) !== null) return;
  store.setItem(RELOADED_KEY, "true");
  location.reload();
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
    const ready = await readyProvider();
    let problem = "Your sign-in could not be renewed, because the server cannot reach the identity provider. Sign in again.";
    try {
      if (ready) {
        const { renew } = await import("./oidc");
        const session = await renew(ready, current);
        if (!stop.aborted) renewed(session);
        sessionStorageOrNull()?.removeItem(RELOADED_KEY);
        return;
      }
    } catch (error) {
      problem = explainRenewal(error, placeOf(ready!));
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
