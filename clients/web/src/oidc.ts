// The protocol with the identity provider: the authorization code flow with PKCE (RFC 7636) of OpenID Connect, renewal,
// revocation and the end of the session. `oauth4webapi` creates and checks all messages. Loaded on demand.
import { newId } from "@runyard/client";
import * as oauth from "oauth4webapi";
import type { ReadyProvider } from "./provider";
import type { Grant, Session } from "./session";

const TIMEOUT_MS = 20_000;
/** Maximum time to revoke a token when the user signs out. */
const REVOCATION_MS = 3_000;
/** Permitted difference between the clocks of the provider and this device. The server permits the same. */
const CLOCK_SECONDS = 30;

/** The part of a sign-in that the answer of the provider must match. */
export interface Expected {
  state: string;
  nonce: string;
  verifier: string;
  redirectUri: string;
}

/** A failure that this module detects. `code` selects the explanation in `view/sign_in.ts`. */
export class SignInError extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** Returns the URL of the provider's sign-in page, and the values that its answer must match. */
export async function request(provider: ReadyProvider, redirectUri: string): Promise<{ url: URL; expected: Expected }> {
  const expected = {
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    verifier: oauth.generateRandomCodeVerifier(),
    redirectUri,
  };
  const url = new URL(provider.server.authorization_endpoint);
  const parameters = {
    client_id: provider.client_id,
    response_type: "code",
    redirect_uri: redirectUri,
    scope: provider.scope,
    state: expected.state,
    nonce: expected.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(expected.verifier),
    code_challenge_method: "S256",
    ...(provider.prompt === undefined ? {} : { prompt: provider.prompt }),
    ...api(provider),
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return { url, expected };
}

/** Exchanges the answer of the provider for a session. Throws if the answer does not match. */
export async function exchange(provider: ReadyProvider, answer: URLSearchParams, expected: Expected): Promise<Session> {
  const client = clientOf(provider);
  const checked = oauth.validateAuthResponse(provider.server, client, answer, expected.state);
  const response = await oauth.authorizationCodeGrantRequest(provider.server, client, oauth.None(), checked, expected.redirectUri, expected.verifier, {
    ...options(provider.server.token_endpoint, TIMEOUT_MS),
    additionalParameters: api(provider),
  });
  const tokens = await oauth.processAuthorizationCodeResponse(provider.server, client, response, { expectedNonce: expected.nonce, requireIdToken: true });
  return sessionOf(provider, tokens, { id: newId(), refreshToken: null, idToken: null });
}

/** Gets a new token with the refresh token. A provider may replace the refresh token, too. */
export async function renew(provider: ReadyProvider, grant: Grant): Promise<Session> {
  const client = clientOf(provider);
  const response = await oauth.refreshTokenGrantRequest(provider.server, client, oauth.None(), grant.refreshToken ?? "", {
    ...options(provider.server.token_endpoint, TIMEOUT_MS),
    additionalParameters: api(provider),
  });
  return sessionOf(provider, await oauth.processRefreshTokenResponse(provider.server, client, response), grant);
}

/** Revokes the refresh token (RFC 7009), if the provider supports it. */
export async function revoke(provider: ReadyProvider, grant: Grant): Promise<void> {
  const endpoint = provider.server.revocation_endpoint;
  if (endpoint === undefined || grant.refreshToken === null) return;
  const response = await oauth.revocationRequest(provider.server, clientOf(provider), oauth.None(), grant.refreshToken, options(endpoint, REVOCATION_MS));
  await oauth.processRevocationResponse(response);
}

/** Returns the page of the provider that ends its session (OpenID Connect RP-Initiated Logout 1.0); null if it has none. */
export function endSessionUrl(provider: ReadyProvider, grant: Grant, redirectUri: string): URL | null {
  if (provider.server.end_session_endpoint === undefined) return null;
  const url = new URL(provider.server.end_session_endpoint);
  if (grant.idToken !== null) url.searchParams.set("id_token_hint", grant.idToken);
  url.searchParams.set("client_id", provider.client_id);
  url.searchParams.set("post_logout_redirect_uri", redirectUri);
  return url;
}

/** The parameters that select the API for which the access token is issued. */
function api(provider: ReadyProvider): Record<string, string> {
  return {
    ...(provider.audience === undefined ? {} : { audience: provider.audience }),
    ...(provider.resource === undefined ? {} : { resource: provider.resource }),
  };
}

function clientOf(provider: ReadyProvider): oauth.Client {
  return { client_id: provider.client_id, [oauth.clockTolerance]: CLOCK_SECONDS };
}

function options(endpoint: string, timeoutMs: number) {
  return {
    signal: AbortSignal.timeout(timeoutMs),
    // The server passes on an http URL only if its own configuration permits it.
    [oauth.allowInsecureRequests]: endpoint.startsWith("http:"),
  };
}

function sessionOf(provider: ReadyProvider, tokens: oauth.TokenEndpointResponse, before: Pick<Grant, "id" | "refreshToken" | "idToken">): Session {
  const claims = oauth.getValidatedIdTokenClaims(tokens);
  const usesIdToken = provider.token === "id_token";
  if (usesIdToken && (tokens.id_token === undefined || !claims)) throw new SignInError("no_id_token");
  const token = usesIdToken ? tokens.id_token! : tokens.access_token;
  // An access token that is not a JWT is opaque: only the provider can check it.
  if (token.split(".").length !== 3) throw new SignInError("opaque_token");
  const seconds = usesIdToken ? claims!.exp - claims!.iat : tokens.expires_in;
  const lifetimeMs = seconds === undefined || !(seconds > 0) ? null : seconds * 1_000;
  return {
    token,
    grant: {
      id: before.id,
      lifetimeMs,
      expiresAt: lifetimeMs === null ? null : Date.now() + lifetimeMs,
      refreshToken: tokens.refresh_token ?? before.refreshToken,
      idToken: tokens.id_token ?? before.idToken,
    },
  };
}
