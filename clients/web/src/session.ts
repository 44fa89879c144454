// Who is signed in: the token, where it is kept, and nothing else.
//
// A token arrives by the form or in the fragment (`/#token=…`), which is removed from the address bar at once. It is kept
// for the tab, or for the browser when the person asks for that. It is given to the client alone and never shown.
import { signal } from "@preact/signals";

const KEY = "runyard.token";

/** The token, or null when nobody is signed in. */
export const token = signal<string | null>(null);
/** Why nobody is signed in any more, when there is something to say. */
export const farewell = signal<string | null>(null);

/** Takes up the token of the fragment, or the one that was kept. Called once, before anything is drawn. */
export function resume(): void {
  const arrived = fromFragment(location.hash);
  if (arrived) {
    history.replaceState(null, "", `${location.pathname}${location.search}#/`);
    signIn(arrived, false);
    return;
  }
  token.value = read(sessionStorageOrNull()) ?? read(localStorageOrNull());
}

/** Signs in with a token; `remember` keeps it beyond the tab. */
export function signIn(value: string, remember: boolean): void {
  forget();
  write(remember ? localStorageOrNull() : sessionStorageOrNull(), value);
  farewell.value = null;
  token.value = value;
}

/** Signs out, saying why when there is a reason. */
export function signOut(why: string | null = null): void {
  forget();
  farewell.value = why;
  token.value = null;
}

/** The token in a fragment such as `#token=…`. */
export function fromFragment(hash: string): string | null {
  const found = new URLSearchParams(hash.replace(/^#\/?\??/, "")).get("token")?.trim();
  return found ? found : null;
}

/** A pasted text as a token: `Bearer ` and quotes around it are taken off, whole sign-in links are understood. */
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
      // A browser that keeps nothing has nothing to forget.
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
    // The token lives as long as the page then.
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
