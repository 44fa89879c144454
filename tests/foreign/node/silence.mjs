// Detects a dead connection without keepalive pings, because browsers cannot send them.

/**
 * Maximum time without an event. The server of this test sends a heartbeat every second. If the server has the default
 * interval of 10 seconds, use 30 seconds.
 */
const SILENCE_MS = 15_000;

/** Starts a timer that calls `onSilence` if `heard` is not called for `SILENCE_MS`. */
export function listen(onSilence) {
  let timer;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(onSilence, SILENCE_MS);
  };
  heard();
  return { heard, stop: () => clearTimeout(timer) };
}

/** Waits before a broken stream is opened again. */
export const pause = () => new Promise((resolve) => setTimeout(resolve, 200));
