// How long to wait before trying again: exponential, with jitter, bounded, and never past an abort.

const FIRST_MS = 100;
const LONGEST_MS = 5_000;

/** The wait before attempt `failures + 1`, in milliseconds; at least what the server asked for. */
export function backoffMs(failures: number, retryAfterSeconds = 0): number {
  const bound = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 10));
  // Half of it is chance, so that clients that lost the same server do not come back together.
  return Math.max(bound / 2 + (Math.random() * bound) / 2, retryAfterSeconds * 1_000);
}

/** Waits; rejects with the signal's reason when it aborts, and ends early when a browser is online again. */
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

/** Calls back when a browser comes online; returns what ends that. Elsewhere nothing happens. */
export function onOnline(callback: () => void): () => void {
  const place = globalThis as { addEventListener?: unknown; document?: unknown };
  if (place.document === undefined || typeof place.addEventListener !== "function") {
    return () => {};
  }
  globalThis.addEventListener("online", callback);
  return () => globalThis.removeEventListener("online", callback);
}
