// Signs in at the identity provider, and signs out there.
//
// The user leaves the page for the provider's page and comes back with an answer in the address. The answer is removed
// from the address bar at once. The values that it must match are in session storage, so a tab has one pending sign-in, and
// an answer to another tab's sign-in is refused.
import { signal } from "@preact/signals";
import { Runyard, isRunyardError } from "@runyard/client";
import { explainError } from "./errors";
import type { Expected } from "./oidc";
import { type ReadyProvider, readyProvider } from "./provider";
import { grant, sessionStorageOrNull, signIn, signOut, signOutReason, token } from "./session";
import { explainSignIn } from "./view/sign_in";

const KEY = "runyard.sign_in";
/** Parameters of an answer (OpenID Connect Core 1.0, RFC 9207). Other parameters of the address stay. */
const PARAMETERS = ["code", "state", "iss", "error", "error_description", "error_uri", "session_state", "scope", "authuser", "hd", "prompt"];

/** Time in which the browser should have left this page for the provider's page. */
const MAX_LEAVE_MS = 10_000;

const NO_PROVIDER = "The server does not know the sign-in page of the identity provider yet. Try again, or ask the operator of this server.";

interface Pending extends Expected {
  /** The page to which the user returns, as a URL fragment. */
  place: string;
  /** Whether the user wants to stay signed in on this device. */
  remember: boolean;
}

/** Describes the current step; null if the user is not signing in or out. */
export const step = signal<string | null>(null);

/** Opens the sign-in page of the provider. Returns the problem if that is impossible. */
export async function beginSignIn(remember: boolean): Promise<string | null> {
  if (typeof crypto.subtle === "undefined") {
    return "The browser permits this sign-in only on pages that use https, or on localhost. Open the console there.";
  }
  try {
    const provider = await readyProvider();
    if (!provider) return NO_PROVIDER;
    const { request } = await import("./oidc");
    const { url, expected } = await request(provider, ownAddress());
    const pending: Pending = { ...expected, place: location.hash, remember };
    const store = sessionStorageOrNull();
    if (!store) return "The browser blocks the storage of this page, which the sign-in needs. Permit it in the settings of the browser.";
    store.setItem(KEY, JSON.stringify(pending));
    location.assign(url);
    return null;
  } catch (error) {
    return `The sign-in could not begin: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Takes the answer of the provider from the address bar, and shows the page that the user wanted. */
export function takeAnswer(): { answer: URLSearchParams; pending: Pending | null } | null {
  const address = new URL(location.href);
  const answer = address.searchParams;
  if (!answer.has("code") && !answer.has("error")) return null;
  const pending = takePending();
  if (!pending && !answer.has("state")) return null;
  const rest = new URLSearchParams(answer);
  for (const name of PARAMETERS) rest.delete(name);
  const query = rest.size > 0 ? `?${rest}` : "";
  history.replaceState(null, "", `${address.pathname}${query}${pending?.place || "#/"}`);
  return { answer, pending };
}

/** Signs in with the answer of the provider. If that fails, the sign-in screen says why. */
export async function finishSignIn({ answer, pending }: NonNullable<ReturnType<typeof takeAnswer>>): Promise<void> {
  if (!pending) {
    if (token.peek() === null) signOutReason.value = "This tab did not begin this sign-in, or it was already completed. Sign in again.";
    return;
  }
  step.value = "Signing in";
  try {
    signOutReason.value = await complete(answer, pending);
  } finally {
    step.value = null;
  }
}

async function complete(answer: URLSearchParams, pending: Pending): Promise<string | null> {
  const provider = await readyProvider();
  if (!provider) return NO_PROVIDER;
  try {
    const { exchange } = await import("./oidc");
    const session = await exchange(provider, answer, pending);
    const problem = await checkToken(session.token, "The identity provider signed you in, but this server does not accept the token. Its operator must compare the token with auth.audience and auth.client_ids.");
    if (problem !== null) return problem;
    const other = token.peek();
    signIn(session, pending.remember);
    // Another tab signed in this tab in the meantime. The new page forgets what that account has loaded.
    if (other !== null) location.reload();
    return null;
  } catch (error) {
    return explainSignIn(error, placeOf(provider));
  }
}

/** Signs out here and, if the user signed in there, at the identity provider. */
export async function leave(): Promise<void> {
  const ended = grant.peek();
  signOut();
  location.hash = "#/";
  if (!ended) return;
  step.value = "Signing out";
  try {
    const provider = await readyProvider();
    if (!provider) throw new Error(NO_PROVIDER);
    const { endSessionUrl, revoke } = await import("./oidc");
    // The end of the session at the provider matters more than the token, which this tab has already forgotten.
    await revoke(provider, ended).catch(() => {});
    const url = endSessionUrl(provider, ended, ownAddress());
    if (url) {
      location.assign(url);
      await stayed();
    }
  } catch {
    signOutReason.value = "You are signed out here, but the session at the identity provider could not be ended. Sign out there, too.";
  }
  step.value = null;
}

/** Resolves when the browser brings this page back, and after a time, because the user can stop the navigation. */
function stayed(): Promise<void> {
  return new Promise((resolve) => {
    addEventListener("pageshow", () => resolve(), { once: true });
    setTimeout(resolve, MAX_LEAVE_MS);
  });
}

/** Returns why the server refuses the token; null if it accepts it. */
export async function checkToken(value: string, refused: string): Promise<string | null> {
  try {
    await new Runyard({ baseUrl: location.origin, token: value }).account.state();
    return null;
  } catch (error) {
    if (isRunyardError(error) && error.kind === "unauthenticated") return refused;
    return explainError(error)?.text ?? "Signing in failed. Try again.";
  }
}

export function placeOf(provider: ReadyProvider) {
  return { tokenEndpoint: provider.server.token_endpoint, origin: location.origin };
}

/** The redirect URI: the address of the console without the name of its file. */
function ownAddress(): string {
  return `${location.origin}${location.pathname.replace(/index\.html$/, "")}`;
}

function takePending(): Pending | null {
  try {
    const store = sessionStorageOrNull();
    const text = store?.getItem(KEY) ?? null;
    store?.removeItem(KEY);
    return text === null ? null : (JSON.parse(text) as Pending);
  } catch {
    return null;
  }
}
