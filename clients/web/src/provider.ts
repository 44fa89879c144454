// The identity provider at which users sign in, as the server describes it in `/console.json`.
import { signal } from "@preact/signals";
import type { AuthorizationServer } from "oauth4webapi";

const TIMEOUT_MS = 20_000;

export interface Provider {
  client_id: string;
  issuer: string;
  scope: string;
  /** The token that the console sends to the API. */
  token: "access_token" | "id_token";
  audience?: string;
  resource?: string;
  prompt?: string;
  /** Text of the sign-in button. */
  button?: string;
  /** The endpoints of the provider. Absent if the server could not load them. */
  server?: AuthorizationServer & { authorization_endpoint: string; token_endpoint: string };
}

/** Null if the server has no sign-in, and undefined before the first answer. */
export const provider = signal<Provider | null | undefined>(undefined);

/** Loads the provider. If the server does not answer, the known provider stays, and users can still enter a token. */
export async function loadProvider(): Promise<Provider | null> {
  try {
    // The server is at the root of the console's origin, as for all other requests.
    const answer = await fetch("/console.json", { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    provider.value = ((await answer.json()) as { sign_in: Provider | null }).sign_in;
  } catch {
    provider.value = provider.peek() ?? null;
  }
  return provider.peek() ?? null;
}

/** Returns the provider if its endpoints are known. */
export async function readyProvider(): Promise<ReadyProvider | null> {
  const known = provider.peek();
  const found = known?.server ? known : await loadProvider();
  return isReady(found) ? found : null;
}

export type ReadyProvider = Provider & Required<Pick<Provider, "server">>;

function isReady(found: Provider | null): found is ReadyProvider {
  return found?.server !== undefined;
}
