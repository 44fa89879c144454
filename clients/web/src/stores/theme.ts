// Light, dark, or as the system has it.
import { signal } from "@preact/signals";

/** A choice of theme. */
export type Theme = "system" | "light" | "dark";

const KEY = "runyard.theme";

/** The theme that was chosen. */
export const theme = signal<Theme>(kept());

/** Chooses a theme and keeps the choice. */
export function choose(next: Theme): void {
  theme.value = next;
  if (next === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = next;
  try {
    if (next === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    // The choice lives as long as the page then.
  }
}

function kept(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}
