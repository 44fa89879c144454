// A dialog to choose an agent's icon and colours. The server can suggest them.
import { Wand } from "lucide";
import { useSignal } from "@preact/signals";
import { runyard } from "../client";
import { explainError } from "../errors";
import type { Explained } from "../view/refusal";
import { AgentIcon, library, loadLibrary } from "./agent_icon";
import { Dialog, RefusalNote } from "./basic";
import { Icon } from "./icon";

export interface ChosenIcon {
  name: string;
  color: string;
  background: string;
}

// Colour pairs with sufficient contrast: name, colour of the icon, colour of the background.
const PAIRS: [string, string, string][] = [
  ["Black", "#000000", "#F3F4F6"],
  ["Slate", "#334155", "#F1F5F9"],
  ["Teal", "#0F766E", "#F0FDFA"],
  ["Green", "#15803D", "#F0FDF4"],
  ["Blue", "#0369A1", "#F0F9FF"],
  ["Indigo", "#4F46E5", "#EEF2FF"],
  ["Purple", "#9333EA", "#FAF5FF"],
  ["Pink", "#DB2777", "#FDF2F8"],
  ["Red", "#DC2626", "#FEF2F2"],
  ["Orange", "#C2410C", "#FFF7ED"],
  ["Amber", "#B45309", "#FFFBEB"],
];

export function IconPicker({ agentName, icon, onChange }: { agentName: string; icon: ChosenIcon; onChange: (icon: ChosenIcon) => void }) {
  const open = useSignal(false);
  const query = useSignal("");
  const suggesting = useSignal(false);
  const refused = useSignal<Explained | null>(null);
  loadLibrary();
  const names = Object.keys(library.value ?? {}).filter((name) => name.includes(query.value.trim().toLowerCase()));
  const suggest = async () => {
    suggesting.value = true;
    refused.value = null;
    try {
      const suggested = await runyard().agents.generateIcon(agentName.trim());
      onChange({ name: suggested.iconName, color: suggested.iconColor, background: suggested.iconBackground });
    } catch (error) {
      refused.value = explainError(error);
    } finally {
      suggesting.value = false;
    }
  };
  return (
    <div class="icon-picker">
      <button type="button" class="icon-picker-open" aria-label={`Choose an icon (current: ${icon.name})`} onClick={() => (open.value = true)}>
        <AgentIcon {...icon} size={56} />
      </button>
      {open.value && (
        <Dialog title="Icon" size="wide" onClose={() => (open.value = false)}>
          <div class="icon-picker-head">
            <AgentIcon {...icon} size={64} />
            <div class="swatches" role="group" aria-label="Colors">
              {PAIRS.map(([label, color, background]) => (
                <button
                  key={label}
                  type="button"
                  class="swatch"
                  aria-label={label}
                  title={label}
                  aria-pressed={icon.color.toUpperCase() === color && icon.background.toUpperCase() === background}
                  style={{ color, background }}
                  onClick={() => onChange({ ...icon, color, background })}
                >
                  <span style={{ background: color }} />
                </button>
              ))}
            </div>
            <button type="button" class="button" disabled={suggesting.value || agentName.trim().length < 2} onClick={() => void suggest()}>
              <Icon of={Wand} size={16} />
              {suggesting.value ? "Suggesting" : "Suggest"}
            </button>
          </div>
          {agentName.trim().length < 2 && <p class="small dim">To get a suggestion, enter an agent name of at least 2 characters.</p>}
          {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
          <input
            type="search"
            class="search"
            aria-label="Find an icon"
            placeholder="Find an icon"
            value={query.value}
            onInput={(event) => (query.value = event.currentTarget.value)}
          />
          <div class="icon-grid" role="group" aria-label="Icons">
            {names.map((name) => (
              <button
                key={name}
                type="button"
                aria-label={name.replaceAll("-", " ")}
                title={name.replaceAll("-", " ")}
                aria-pressed={name === icon.name}
                onClick={() => onChange({ ...icon, name })}
              >
                <Icon of={library.value![name]!} size={20} />
              </button>
            ))}
          </div>
        </Dialog>
      )}
    </div>
  );
}
