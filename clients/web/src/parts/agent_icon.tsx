// An agent's icon on its background. The first rendered icon loads the icon library.
import { signal } from "@preact/signals";
import type { IconNode } from "lucide";
import { Icon } from "./icon";

export const library = signal<Readonly<Record<string, IconNode>> | null>(null);

let loading = false;

/** Loads the icon library once. A failed load is retried on the next call. */
export function loadLibrary(): void {
  if (loading) return;
  loading = true;
  import("./agent_icons").then(
    (module) => {
      library.value = module.AGENT_ICONS;
    },
    () => {
      loading = false;
    },
  );
}

export function AgentIcon({
  name,
  color,
  background,
  size = 40,
}: {
  name: string;
  color: string;
  background: string;
  size?: number;
}) {
  loadLibrary();
  const icon = library.value?.[name] ?? library.value?.["bot"];
  return (
    <span class="agent-icon" aria-hidden="true" style={{ color, background, width: `${size}px`, height: `${size}px` }}>
      {icon && <Icon of={icon} size={Math.round(size * 0.55)} />}
    </span>
  );
}
