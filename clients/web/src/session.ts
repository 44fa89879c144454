// The session: the sign-in token and where it is stored.
//
// A token comes from the form or from the URL fragment (`/#token=…`). The console removes the fragment from the address
// bar immediately. It stores the token in session storage, or in local storage if the user selects "Keep me signed in
// on this device". Only the API client receives the token; the console never shows it.
import { signal } from "@preact/signals";

const KEY = "runyard.token";

/** The token, or null when signed out. */
export const token = signal<string | null>(null);
/** The reason why the user was signed out, which the sign-in screen shows; null if there is nothing to show. */
export const signOutReason = signal<string | null>(null);

/** Restores the session from the URL fragment or from storage. Call it before the first render. */
export function resume(): void {
  const linkToken = fromFragment(location.hash);
  if (linkToken) {
    history.replaceState(null, "", `${location.pathname}${location.search}#/`);
    signIn(linkToken, false);
    return;
  }
  token.value = read(sessionStorageOrNull()) ?? read(localStorageOrNull());
}

/**
 * Signs in with a token. If `remember` is set, the token is stored for the whole browser, otherwise only for this tab.
 */
export function signIn(value: string, remember: boolean): void {
  forget();
  write(remember ? localStorageOrNull() : sessionStorageOrNull(), value);
  signOutReason.value = null;
  token.value = value;
}

/** Signs out. The sign-in screen shows `why` as the reason. */
export function signOut(why: string | null = null): void {
  forget();
  signOutReason.value = why;
  token.value = null;
}

/** Extracts the token from a fragment such as `#token=…`. */
export function fromFragment(hash: string): string | null {
  const found = new URLSearchParams(hash.replace(/^#\/?\??/, "")).get("token")?.trim();
  return found ? found : null;
}

/**
 * Extracts the token from pasted text: strips `Bearer `, `RUNYARD_TOKEN=` and quotes, and accepts whole sign-in links.
 */
export function fromPaste(text: string): string {
  const trimmed = text.trim().replace(/^["']|["']$/g, "");
  const at = trimmed.indexOf("#token=");
  if (at >= 0) return fromFragment(trimmed.slice(at)) ?? "";
  return trimmed.replace(/^(RUNYARD_TOKEN=|Bearer\s+)/i, "");
}

function forget(): void {
  for (const store of [sessionStorageOrNull(), localStorageOrNull()]) {
    try {
      store?.removeItem(KEY);
    } catch {
      // Storage is unavailable, so nothing was stored.
    }
  }
}

function read(store: Storage | null): string | null {
  try {
    return store?.getItem(KEY) ?? null;
  } catch {
    return null;
  }
}

function write(store: Storage | null, value: string): void {
  try {
    store?.setItem(KEY, value);
  } catch {
    // Storage is unavailable: the token lasts until the page closes.
  }
}

function sessionStorageOrNull(): Storage | null {
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
