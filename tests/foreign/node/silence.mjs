// Detects a dead connection without keepalive pings, because browsers cannot send them.

/**
 * Maximum time without an event or heartbeat, in milliseconds. The server of this test sends a heartbeat every second.
 * With the default heartbeat interval of 10 seconds, use 30 seconds.
 */
const SILENCE_MS = 15_000;

export function listen(onSilence) {
  let timer;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(onSilence, SILENCE_MS);
  };
  heard();
  return { heard, stop: () => clearTimeout(timer) };
}

export const pause = () => new Promise((resolve) => setTimeout(resolve, 200));
