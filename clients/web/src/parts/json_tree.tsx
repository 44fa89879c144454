// A tree of JSON values. A branch is rendered when it is opened.
import { useState } from "preact/hooks";
import { type Json, entriesOf, summaryOf } from "../view/json";
import { count } from "../view/format";

/** Maximum number of children that are shown at once. */
const PAGE = 200;
/** Maximum length of a shown text. */
const MAX_TEXT = 2_000;

export function JsonTree({ value }: { value: Json }) {
  return (
    <div class="json" tabIndex={0} role="group" aria-label="JSON">
      <Branch name={null} value={value} isOpenAtFirst />
    </div>
  );
}

function Branch({ name, value, isOpenAtFirst = false }: { name: string | null; value: Json; isOpenAtFirst?: boolean }) {
  const [isOpen, setOpen] = useState(isOpenAtFirst);
  const [shown, setShown] = useState(PAGE);
  const entries = entriesOf(value);
  const label = name !== null && <span class="json-name">{name}</span>;
  if (!entries) {
    const text = summaryOf(value);
    return (
      <div class="json-leaf">
        {label}
        <span class={`json-${value === null ? "null" : typeof value}`}>{text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text}</span>
      </div>
    );
  }
  return (
    <details open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        {label}
        <span class="dim">{summaryOf(value)}</span>
      </summary>
      {isOpen && (
        <div class="json-children">
          {entries.slice(0, shown).map(([key, each]) => (
            <Branch key={key} name={key} value={each} />
          ))}
          {entries.length > shown && (
            <button type="button" class="button button-small" onClick={() => setShown(shown + PAGE)}>
              Show more ({count(entries.length - shown)} left)
            </button>
          )}
        </div>
      )}
    </details>
  );
}
