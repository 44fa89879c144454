// A clock that ticks once a second while a component uses it.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** Milliseconds since the Unix epoch. */
export const now = signal(Date.now());

let users = 0;
let timer: ReturnType<typeof setInterval> | undefined;

/** Keeps the clock running while the component is mounted. */
export function useNow(): number {
  useEffect(() => {
    users += 1;
    now.value = Date.now();
    timer ??= setInterval(() => {
      now.value = Date.now();
    }, 1000);
    return () => {
      users -= 1;
      if (users === 0) {
        clearInterval(timer);
        timer = undefined;
      }
    };
  }, []);
  return now.value;
}
