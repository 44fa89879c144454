// Keeps a scrolling element at its end while content is added, until the user scrolls up.
import { type Signal, useSignal } from "@preact/signals";
import { useLayoutEffect } from "preact/hooks";

/** Distance to the end in pixels within which a downward scroll reaches the end. */
const NEAR = 80;
/** Milliseconds after a wheel, touch or key event within which a scroll is the user's. */
const BY_USER_MS = 600;

export interface Stick {
  /** Whether the element shows its end. */
  atEnd: Signal<boolean>;
  toEnd: () => void;
}

/** A new value of `key` scrolls to the end. */
export function useStick(place: { current: HTMLElement | null }, key: string): Stick {
  const atEnd = useSignal(true);
  const toEnd = () => {
    atEnd.value = true;
    if (place.current) place.current.scrollTop = place.current.scrollHeight;
  };
  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return;
    const follow = () => {
      if (atEnd.peek()) element.scrollTop = element.scrollHeight;
    };
    let before = element.scrollTop;
    let userAt = -Infinity;
    const onUser = () => (userAt = performance.now());
    const onScroll = () => {
      const left = element.scrollHeight - element.scrollTop - element.clientHeight;
      const isUp = element.scrollTop < before - 1;
      // Content that shrinks also scrolls up, but not far from the end, and without the user.
      if (isUp && (left >= NEAR || (left > 1 && performance.now() - userAt < BY_USER_MS))) atEnd.value = false;
      else if (!isUp && left < NEAR) atEnd.value = true;
      before = element.scrollTop;
    };
    const observer = new ResizeObserver(follow);
    const watchChildren = new MutationObserver(() => {
      observer.disconnect();
      observer.observe(element);
      for (const child of element.children) observer.observe(child);
    });
    watchChildren.observe(element, { childList: true });
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    element.addEventListener("scroll", onScroll, { passive: true });
    for (const type of USER_EVENTS) element.addEventListener(type, onUser, { passive: true });
    toEnd();
    return () => {
      observer.disconnect();
      watchChildren.disconnect();
      element.removeEventListener("scroll", onScroll);
      for (const type of USER_EVENTS) element.removeEventListener(type, onUser);
    };
  }, [key]);
  return { atEnd, toEnd };
}

const USER_EVENTS = ["wheel", "touchmove", "keydown", "pointerdown"] as const;
