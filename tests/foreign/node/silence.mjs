// Detects a dead connection without help of the transport. Browsers cannot send keepalive pings.

/** The server sends a heartbeat every second in this test. With the default of 10 seconds, use 30 seconds. */
const SILENCE_MS = 15_000;

/** A timer that calls `onSilence` if `heard` is not called for a while. */
export function listen(onSilence) {
  let timer;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(onSilence, SILENCE_MS);
  };
  heard();
  return { heard, stop: () => clearTimeout(timer) };
}

/** The pause before a broken stream is opened again. */
export const pause = () => new Promise((resolve) => setTimeout(resolve, 200));
