// Global keyboard shortcuts.
import { go } from "../router";

export const isApple = typeof navigator !== "undefined" && /Mac|iPhone|iPad/.test(navigator.userAgent);

/** Touch devices have no drag and drop and no keyboard shortcuts. */
export const isTouch = typeof matchMedia === "function" && matchMedia("(pointer: coarse)").matches;

// Navigation shortcuts: `g`, and then one of these keys. The values are paths.
const PLACES: Record<string, string> = { h: "/", t: "/threads", r: "/runs", w: "/waiting", a: "/agents", s: "/skills", m: "/memory", d: "/schedules", k: "/webhooks", u: "/usage", c: "/account" };
/** Maximum milliseconds between `g` and the second key. */
const SEQUENCE_TIMEOUT_MS = 1_000;

let goUntil = 0;

/** Call the returned function to remove the shortcuts. */
export function listenToKeys(openPalette: () => void): () => void {
  const listen = (event: KeyboardEvent) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey) {
      event.preventDefault();
      openPalette();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "/") {
      event.preventDefault();
      focusComposer();
    } else if (event.key === "g") {
      goUntil = event.timeStamp + SEQUENCE_TIMEOUT_MS;
    } else {
      const to = event.timeStamp < goUntil ? PLACES[event.key] : undefined;
      goUntil = 0;
      if (to !== undefined) {
        event.preventDefault();
        go(to);
      }
    }
  };
  addEventListener("keydown", listen);
  return () => removeEventListener("keydown", listen);
}

function focusComposer(): void {
  const composer = document.querySelector<HTMLTextAreaElement>("[data-composer]");
  if (composer) composer.focus();
  else go("/");
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));
}
