// The colour theme: light, dark, or the system's setting.
import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const KEY = "runyard.theme";

export const theme = signal<Theme>(stored());

export function choose(next: Theme): void {
  theme.value = next;
  if (next === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = next;
  try {
    if (next === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    // Storage is unavailable, so the choice is lost when the page closes.
  }
}

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}
