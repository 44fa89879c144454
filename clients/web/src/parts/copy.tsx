// A button that copies text to the clipboard.
import { Check, Copy } from "lucide";
import { useState } from "preact/hooks";
import { announce } from "../stores/announce";
import { Icon } from "./icon";

/** Without a label, the button's accessible name is "Copy" followed by `what`. */
export function CopyButton({ text, what, label = false }: { text: string; what: string; label?: boolean }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      announce("Copied to the clipboard");
      setTimeout(() => setDone(false), 1500);
    } catch {
      announce("The browser blocked access to the clipboard. Select the text and copy it.");
    }
  };
  return (
    <button type="button" class={label ? "button button-small" : "button-icon"} aria-label={label ? undefined : `Copy ${what}`} onClick={copy}>
      <Icon of={done ? Check : Copy} size={15} />
      {label && (done ? "Copied" : "Copy")}
    </button>
  );
}
