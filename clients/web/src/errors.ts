// Explains errors to the user. If the server rejected the token and no renewal replaces it, signs the user out.
import { isRunyardError } from "@runyard/client";
import { grant, needsRenewal, signOut, token } from "./session";
import { type Explained, RENEWAL_PENDING, explain } from "./view/refusal";

let planName: string | null = null;

/** Sets the plan name for errors that contain none. */
export function setPlanName(name: string): void {
  planName = name;
}

/** Returns null for an aborted request. */
export function explainError(error: unknown): Explained | null {
  if (error instanceof DOMException && error.name === "AbortError") return null;
  if (isRunyardError(error)) {
    if (error.errorCode === "CANCELLED") return null;
    if (error.errorCode === "NOT_AUTHENTICATED" && token.value !== null) {
      if (needsRenewal()) return explain({ errorCode: RENEWAL_PENDING, message: error.message });
      signOut(grant.value === null ? "Your token is no longer valid. Sign in with a new one." : "Your sign-in has expired. Sign in again.");
    }
    return explain({
      errorCode: error.errorCode,
      message: error.message,
      details: { ...(planName === null ? {} : { tierName: planName }), ...error.details },
      ...(error.requestId ? { requestId: error.requestId } : {}),
      ...(error.retryAfter !== undefined ? { retryAfter: error.retryAfter } : {}),
    });
  }
  return explain({ errorCode: "", message: error instanceof Error ? error.message : String(error) });
}
