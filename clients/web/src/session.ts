// The sign-in token and its storage.
//
// A token comes from the form or the URL fragment (`/#token=…`), which is removed from the address bar immediately.
// The token is kept in session storage, or in local storage if the user wants to stay signed in. A new tab gets it from
// the other tabs (`tabs.ts`). The console never shows the token.
import { signal } from "@preact/signals";
import { forgetBudgets } from "./stores/budgets";
import { askTabs, joinTabs, tellSignedOut } from "./tabs";

const KEY = "runyard.token";

/** The token, or null when signed out. */
export const token = signal<string | null>(null);
/** Reason of the sign-out, for the sign-in screen. */
export const signOutReason = signal<string | null>(null);

/**
 * Restores the token from the URL fragment, from storage or from another tab. Must be called before the first render.
 */
export async function resume(): Promise<void> {
  joinTabs({
    token: () => token.peek(),
    onToken: (value) => signIn(value, false),
    onSignedOut: (reason) => end(reason),
  });
  const linkToken = fromFragment(location.hash);
  if (linkToken) {
    history.replaceState(null, "", `${location.pathname}${location.search}#/`);
    signIn(linkToken, false);
    return;
  }
  token.value = read(sessionStorageOrNull()) ?? read(localStorageOrNull());
  if (token.value === null) await askTabs(() => token.peek() !== null);
}

/** If `remember` is set, the token is stored for the whole browser, otherwise for this tab. */
export function signIn(value: string, remember: boolean): void {
  forget();
  write(remember ? localStorageOrNull() : sessionStorageOrNull(), value);
  signOutReason.value = null;
  token.value = value;
}

/** Signs out all tabs with this token. The sign-in screen shows `why`. */
export function signOut(why: string | null = null): void {
  const value = token.peek();
  end(why);
  if (value !== null) tellSignedOut(value, why);
}

function end(why: string | null): void {
  forget();
  forgetBudgets();
  signOutReason.value = why;
  token.value = null;
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

function forget(): void {
  for (const store of [sessionStorageOrNull(), localStorageOrNull()]) {
    try {
      store?.removeItem(KEY);
    } catch {
      // Storage is unavailable, so it holds no token.
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
    // Storage is unavailable, so the token is lost when the page closes.
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
