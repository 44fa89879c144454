// Bounded exponential backoff with jitter, and a sleep that an abort signal ends.

const FIRST_MS = 100;
const LONGEST_MS = 5_000;

/**
 * Returns the pause in milliseconds after a number of consecutive failures. The pause is never shorter than the
 * server's retry delay.
 */
export function backoffMs(failures: number, retryAfterSeconds = 0): number {
  const bound = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 10));
  // Up to half of the pause is random, so that clients do not retry all at once after a server failure.
  return Math.max(bound / 2 + (Math.random() * bound) / 2, retryAfterSeconds * 1_000);
}

/** Sleeps for `ms` milliseconds, or until the browser comes online. Rejects with the signal's reason on abort. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const settle = (how: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      stopListening();
      how();
    };
    const abort = () => settle(() => reject(signal?.reason));
    const timer = setTimeout(() => settle(resolve), ms);
    const stopListening = onOnline(() => settle(resolve));
    signal?.addEventListener("abort", abort);
  });
}

/**
 * Calls back when the browser comes online. Returns a function that removes the callback. Does nothing outside
 * browsers.
 */
export function onOnline(callback: () => void): () => void {
  const place = globalThis as { addEventListener?: unknown; document?: unknown };
  if (place.document === undefined || typeof place.addEventListener !== "function") {
    return () => {};
  }
  globalThis.addEventListener("online", callback);
  return () => globalThis.removeEventListener("online", callback);
}
