// The session: the sign-in token, its renewal data and their storage.
//
// A token comes from the identity provider (`sign_in.ts`), from the form or from the URL fragment (`/#token=…`), which is
// removed from the address bar immediately. The session is kept in session storage, or in local storage if the user wants
// to stay signed in. A new tab gets it from the other tabs (`tabs.ts`). The console never shows the token.
import { computed, signal } from "@preact/signals";
import { forgetBudgets } from "./stores/budgets";
import { askTabs, identityOf, joinTabs, stopAsking, tellRenewed, tellSignedOut } from "./tabs";

const TOKEN_KEY = "runyard.token";
const GRANT_KEY = "runyard.grant";
/** A token that expires within this time is not used for a request. */
const MIN_LEFT_MS = 1_000;

/** The sign-in at the identity provider to which a token belongs. */
export interface Grant {
  /** Identifies the sign-in in all tabs. Renewals keep it. */
  id: string;
  /** Time of `Date.now()` at which the token expires; null if it is unknown. */
  expiresAt: number | null;
  /** The lifetime of the token in milliseconds; null if it is unknown. */
  lifetimeMs: number | null;
  refreshToken: string | null;
  /** Names the session when the provider ends it. */
  idToken: string | null;
}

export interface Session {
  token: string;
  /** Null for a token that the user entered. */
  grant: Grant | null;
}

const session = signal<Session | null>(null);

/** The token, or null when signed out. */
export const token = computed(() => session.value?.token ?? null);
export const grant = computed(() => session.value?.grant ?? null);
/** Whether the token of the current sign-in can be renewed. */
export const isRenewable = computed(
  () =>
    typeof grant.value?.refreshToken === "string" &&
    grant.value.expiresAt !== null &&
    // Browsers have locks only where they permit the sign-in itself: on https and on localhost.
    typeof navigator.locks !== "undefined",
);
/** Identifies the sign-in. It changes when another user signs in, but not when the token is renewed. */
export const identity = computed(() => identityOf(session.value));
/** Reason of the sign-out, for the sign-in screen. */
export const signOutReason = signal<string | null>(null);
/** Counts the requests of other tabs to renew the token now. */
export const renewalsWanted = signal(0);

/**
 * Restores the session from the URL fragment, from storage or from another tab. Must be called before the first render.
 */
export async function resume(): Promise<void> {
  joinTabs({
    session: () => session.peek(),
    onSession: (value) => {
      if (session.peek() === null) signIn(value, false);
      else if (isNewer(value, session.peek())) keep(value, false);
    },
    onRenewalWanted: () => (renewalsWanted.value += 1),
    onSignedOut: (reason) => end(reason),
  });
  const linkToken = fromFragment(location.hash);
  if (linkToken) {
    history.replaceState(null, "", `${location.pathname}${location.search}#/`);
    signIn({ token: linkToken, grant: null }, false);
    return;
  }
  session.value = read(sessionStorageOrNull()) ?? read(localStorageOrNull());
  if (session.value === null) await askTabs(() => session.peek() !== null);
}

/** If `remember` is set, the session is stored for the whole browser, otherwise for this tab. */
export function signIn(value: Session, remember: boolean): void {
  forget(sessionStorageOrNull());
  write(remember ? localStorageOrNull() : sessionStorageOrNull(), value);
  signOutReason.value = null;
  session.value = value;
}

/** Replaces the token of the current sign-in by a newer one, in all tabs. */
export function renewed(value: Session): void {
  if (identityOf(value) !== identity.peek()) return;
  keep(value, true);
  tellRenewed(value);
}

/** Signs out all tabs with this sign-in. The sign-in screen shows `why`. */
export function signOut(why: string | null = null): void {
  const id = identity.peek();
  end(why);
  if (id !== null) tellSignedOut(id, why);
}

/** Whether the current token has expired and can be renewed. The renewal then decides whether the sign-in ends. */
export function needsRenewal(): boolean {
  return isRenewable.peek() && (grant.peek()?.expiresAt ?? Infinity) - Date.now() < MIN_LEFT_MS;
}

/** Gets a newer token of the current sign-in, if another tab or local storage has one. */
export async function synchronize(): Promise<void> {
  if (session.peek() === null) return;
  const stored = read(localStorageOrNull());
  if (isNewer(stored, session.peek())) session.value = stored;
  const before = session.peek();
  await askTabs(() => session.peek() !== before);
}

function isNewer(value: Session | null, than: Session | null): boolean {
  if (value === null || identityOf(value) !== identityOf(than)) return false;
  return (value.grant?.expiresAt ?? 0) > (than?.grant?.expiresAt ?? 0);
}

// Local storage may hold the sign-in of another tab. Only the tab that renews the token writes local storage, so that no
// slower tab overwrites a newer token.
function keep(value: Session, isOwn: boolean): void {
  const isRemembered = identityOf(read(localStorageOrNull())) === identityOf(value);
  if (isOwn && isRemembered) write(localStorageOrNull(), value);
  if (!isRemembered) write(sessionStorageOrNull(), value);
  session.value = value;
}

function end(why: string | null): void {
  for (const store of [sessionStorageOrNull(), localStorageOrNull()]) {
    if (identityOf(read(store)) === identity.peek()) forget(store);
  }
  stopAsking();
  forgetBudgets();
  signOutReason.value = why;
  session.value = null;
}

/** Returns the token in a fragment such as `#token=…`. */
export function fromFragment(hash: string): string | null {
  const found = new URLSearchParams(hash.replace(/^#\/?\??/, "")).get("token")?.trim();
  return found ? found : null;
}

/**
 * Extracts the token from pasted text: a token, a sign-in link, or text with `Bearer ` or `RUNYARD_TOKEN=` before the
 * token.
 */
export function fromPaste(text: string): string {
  const trimmed = text.trim().replace(/^["']|["']$/g, "");
  const at = trimmed.indexOf("#token=");
  if (at >= 0) return fromFragment(trimmed.slice(at)) ?? "";
  return trimmed.replace(/^(RUNYARD_TOKEN=|Bearer\s+)/i, "");
}

function forget(store: Storage | null): void {
  try {
    store?.removeItem(TOKEN_KEY);
    store?.removeItem(GRANT_KEY);
  } catch {
    // Storage is unavailable, so it holds no session.
  }
}

function read(store: Storage | null): Session | null {
  try {
    const token = store?.getItem(TOKEN_KEY) ?? null;
    return token === null ? null : { token, grant: JSON.parse(store?.getItem(GRANT_KEY) ?? "null") as Grant | null };
  } catch {
    return null;
  }
}

function write(store: Storage | null, value: Session): void {
  forget(store);
  try {
    store?.setItem(TOKEN_KEY, value.token);
    if (value.grant) store?.setItem(GRANT_KEY, JSON.stringify(value.grant));
  } catch {
    // Storage is unavailable, so the session is lost when the page closes.
  }
}

export function sessionStorageOrNull(): Storage | null {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

function localStorageOrNull(): Storage | null {
  try {
    return localStorage;
  } catch {
    return null;
  }
}
