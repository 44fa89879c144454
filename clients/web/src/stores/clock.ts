// The time, once a second while somebody looks at it.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** Milliseconds since 1970, a second old at most while a part uses it. */
export const now = signal(Date.now());

let users = 0;
let timer: ReturnType<typeof setInterval> | undefined;

/** Keeps the clock going as long as the part is shown, and gives the time. */
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
