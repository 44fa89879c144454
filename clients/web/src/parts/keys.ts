// Keys that work everywhere in the console.
import { go } from "../router";

/** Whether this is an Apple machine, whose shortcuts are written with another key. */
export const isApple = typeof navigator !== "undefined" && /Mac|iPhone|iPad/.test(navigator.userAgent);

// After `g`: where to go.
const PLACES: Record<string, string> = { h: "/", t: "/threads", r: "/runs", a: "/agents", c: "/account" };
/** How long `g` waits for the second key, in milliseconds. */
const PATIENCE = 1_000;

let goUntil = 0;

/** Listens to keys until the returned function is called. */
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
      goUntil = event.timeStamp + PATIENCE;
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
