// Explains why a sign-in or its renewal at the identity provider failed.

/** Longest text of the provider that a message contains, in characters. */
const MAX_TEXT = 300;

export interface Place {
  /** The address of the provider's token endpoint. */
  tokenEndpoint: string;
  /** The origin of the console. */
  origin: string;
}

/** An error of `oauth4webapi`, of `fetch` or of `oidc.ts`. Only the errors of the provider have `error`. */
interface Failure {
  name?: unknown;
  message?: unknown;
  code?: unknown;
  error?: unknown;
  error_description?: unknown;
  status?: unknown;
  cause?: unknown;
}

/** Whether a later attempt may succeed without the user: the network failed, or the provider has a problem or limits its rate. */
export function isPassing(error: unknown): boolean {
  const { name, error: reason, status, cause } = error as Failure;
  if (isNetwork(error) || name === "TimeoutError") return true;
  if (reason === "temporarily_unavailable" || reason === "server_error") return true;
  const answered = typeof status === "number" ? status : cause instanceof Response ? cause.status : 0;
  return answered >= 500 || answered === 408 || answered === 429;
}

/** Explains a failed sign-in. */
export function explainSignIn(error: unknown, place: Place): string {
  const failure = error as Failure;
  if (isNetwork(error)) return unreachable(place);
  if (failure.name === "TimeoutError") return `The identity provider did not answer in time (${place.tokenEndpoint}). Try again.`;
  switch (failure.code) {
    case "OAUTH_AUTHORIZATION_RESPONSE_ERROR":
    case "OAUTH_RESPONSE_BODY_ERROR":
      return refused(text(failure.error), text(failure.error_description));
    case "OAUTH_JWT_TIMESTAMP_CHECK_FAILED":
      return "The times in the identity provider's answer do not match the clock of this device. Correct the date and time of the device, and sign in again.";
    case "OAUTH_INVALID_RESPONSE":
    case "OAUTH_JWT_CLAIM_COMPARISON_FAILED":
    case "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED":
      return `The answer does not belong to this sign-in, so it was refused (${text(failure.message)}). Sign in again.`;
    case "opaque_token":
      return "The identity provider issued an opaque access token, which this server cannot check. The operator of this server must set auth.sign_in.audience or auth.sign_in.resource, or set auth.sign_in.token to \"id_token\".";
    case "no_id_token":
      return "The identity provider issued no ID token. The operator of this server must check auth.sign_in.scopes and the client at the provider.";
    default:
      return `The identity provider gave an answer that the console cannot use (${text(failure.message)}). Try again, or ask the operator of this server.`;
  }
}

/** Explains a failed renewal, after which the user is signed out. */
export function explainRenewal(error: unknown, place: Place): string {
  const failure = error as Failure;
  if (failure.error === "invalid_grant") {
    const description = text(failure.error_description);
    return `Your session at the identity provider has ended${description === "" ? "" : ` (${description})`}. Sign in again.`;
  }
  return `You were signed out, because your sign-in could not be renewed. ${explainSignIn(error, place)}`;
}

function refused(error: string, description: string): string {
  const said = description === "" || description === error ? error : `${error}: ${description}`;
  switch (error) {
    case "access_denied":
      return `The sign-in was cancelled or refused at the identity provider (${said}).`;
    case "login_required":
    case "interaction_required":
    case "consent_required":
    case "account_selection_required":
      return `The identity provider needs you to sign in there (${said}). Try again.`;
    case "temporarily_unavailable":
    case "server_error":
      return `The identity provider has a problem (${said}). Try again later.`;
    case "invalid_grant":
      return `The identity provider no longer accepts this sign-in (${said}). Sign in again.`;
    case "invalid_client":
    case "unauthorized_client":
      return `The identity provider does not accept the console as a client (${said}). The operator of this server must register it as a public client without a secret, and check auth.sign_in.client_id.`;
    case "invalid_scope":
      return `The identity provider does not permit the requested scopes (${said}). The operator of this server must check auth.sign_in.scopes.`;
    case "invalid_target":
      return `The identity provider does not know the requested API (${said}). The operator of this server must check auth.sign_in.audience and auth.sign_in.resource.`;
    default:
      return `The identity provider refused the sign-in (${said}).`;
  }
}

function unreachable({ tokenEndpoint, origin }: Place): string {
  return `The browser could not reach the identity provider (${tokenEndpoint}). Check the network. If it works, the provider does not allow requests from this page: its administrator must add ${origin} to the allowed origins (CORS) of the client.`;
}

// `fetch` rejects with a plain TypeError if the network fails or CORS forbids the answer. The errors of `oauth4webapi` have a
// code.
function isNetwork(error: unknown): boolean {
  return error instanceof TypeError && (error as Failure).code === undefined;
}

function text(value: unknown): string {
  const said = typeof value === "string" ? value : "";
  return said.length > MAX_TEXT ? `${said.slice(0, MAX_TEXT)}…` : said;
}
