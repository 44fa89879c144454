// Converts the URL fragment, such as `#/threads/UUID`, to a `Place`.
import { computed, signal } from "@preact/signals";

export type Place =
  | { screen: "home" }
  | { screen: "threads" }
  | { screen: "thread"; threadId: string }
  | { screen: "runs" }
  | { screen: "waiting" }
  | { screen: "agents" }
  | { screen: "agent"; agentId: string | null; tab: "settings" | "versions" }
  | { screen: "skills" }
  | { screen: "memory" }
  | { screen: "webhooks" }
  | { screen: "schedules" }
  | { screen: "usage" }
  | { screen: "account" }
  | { screen: "administration"; accountId: string | null }
  | { screen: "shared"; token: string }
  | { screen: "missing" };

const path = signal(readPath());

export const place = computed(() => parse(path.value));

export function parse(text: string): Place {
  const [first, second, third, ...rest] = text.split("?")[0]!.split("/").filter(Boolean).map(decoded);
  if (rest.length > 0) return { screen: "missing" };
  switch (first) {
    case undefined:
      return { screen: "home" };
    case "threads":
      if (third !== undefined) break;
      return second === undefined ? { screen: "threads" } : { screen: "thread", threadId: second };
    case "runs":
      if (second !== undefined) break;
      return { screen: "runs" };
    case "waiting":
      if (second !== undefined) break;
      return { screen: "waiting" };
    case "agents":
      if (second === undefined) return { screen: "agents" };
      if (third !== undefined && third !== "versions") break;
      return {
        screen: "agent",
        agentId: second === "new" ? null : second,
        tab: third === "versions" ? "versions" : "settings",
      };
    case "skills":
      if (second !== undefined) break;
      return { screen: "skills" };
    case "memory":
      if (second !== undefined) break;
      return { screen: "memory" };
    case "webhooks":
      if (second !== undefined) break;
      return { screen: "webhooks" };
    case "schedules":
      if (second !== undefined) break;
      return { screen: "schedules" };
    case "usage":
      if (second !== undefined) break;
      return { screen: "usage" };
    case "account":
      if (second !== undefined) break;
      return { screen: "account" };
    case "administration":
      if (third !== undefined) break;
      return { screen: "administration", accountId: second ?? null };
    case "shared":
      if (second === undefined || third !== undefined) break;
      return { screen: "shared", token: second };
  }
  return { screen: "missing" };
}

export function parameters(): URLSearchParams {
  return new URLSearchParams(path.value.split("?")[1] ?? "");
}

/** Navigates to a path such as `/threads/UUID`. */
export function go(to: string): void {
  location.hash = `#${to}`;
}

export function followAddress(): void {
  addEventListener("hashchange", () => {
    path.value = readPath();
  });
}

/** Reads the URL again. `history.replaceState` fires no event, so its callers must call this function. */
export function readAddress(): void {
  path.value = readPath();
}

function readPath(): string {
  return typeof location === "undefined" ? "/" : location.hash.replace(/^#/, "") || "/";
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
