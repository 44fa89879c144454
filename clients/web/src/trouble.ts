// What went wrong, in words; a token that is no longer valid signs out.
import { isRunyardError } from "@runyard/client";
import { signOut, token } from "./session";
import { type Explained, explain } from "./view/refusal";

let planName: string | null = null;

/** Says which plan the account has, for refusals that do not. */
export function knowPlan(name: string): void {
  planName = name;
}

/** Explains anything that was thrown. An abort is no trouble: it gives null. */
export function trouble(error: unknown): Explained | null {
  if (error instanceof DOMException && error.name === "AbortError") return null;
  if (isRunyardError(error)) {
    if (error.errorCode === "CANCELLED") return null;
    if (error.errorCode === "NOT_AUTHENTICATED" && token.value !== null) {
      signOut("Your token is no longer valid. Sign in with a new one.");
    }
    return explain({
      errorCode: error.errorCode,
      message: error.message,
      // Not every refusal says which plan refused.
      facts: { ...(planName === null ? {} : { tierName: planName }), ...error.facts },
      ...(error.requestId ? { requestId: error.requestId } : {}),
      ...(error.retryAfter !== undefined ? { retryAfter: error.retryAfter } : {}),
    });
  }
  return explain({ errorCode: "", message: error instanceof Error ? error.message : String(error) });
}
