// Explains errors to the user. If the server rejected the token, signs the user out.
import { isRunyardError } from "@runyard/client";
import { signOut, token } from "./session";
import { type Explained, explain } from "./view/refusal";

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
      signOut("Your token is no longer valid. Sign in with a new one.");
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
