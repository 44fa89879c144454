// The options of a run: the menus of the composer, and a panel with the budget of the run. A narrow composer shows both
// only on request.
import { SlidersHorizontal } from "lucide";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { BUDGET_FIELDS, type BudgetFaults, type BudgetText, countSet } from "../view/budget";
import { chooseEnter, enterStarts } from "../stores/enter";
import { chooseTitles, suggestsTitles } from "../stores/titles";
import { Icon } from "./icon";
import { isTouch } from "./keys";

export function RunOptions({
  isOpen,
  chosen,
  budget,
  faults,
  children,
  onOpen,
  onBudget,
  onDone,
}: {
  isOpen: boolean;
  /** Number of menus with a choice. */
  chosen: number;
  budget: BudgetText;
  faults: BudgetFaults;
  /** The menus. */
  children: ComponentChildren;
  onOpen: (open: boolean) => void;
  onBudget: (budget: BudgetText) => void;
  /** Called when the user has finished with the panel. */
  onDone: () => void;
}) {
  const id = useId();
  const place = useRef<HTMLDivElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const limits = countSet(budget);
  useEffect(() => {
    if (!isOpen) return;
    // Only a panel above the page hides content, so only such a panel closes by itself.
    const elsewhere = (event: PointerEvent) => {
      const parts = [panel.current, panel.current?.parentElement];
      const floats = parts.some((part) => part && getComputedStyle(part).position === "absolute");
      if (floats && !place.current?.contains(event.target as Node)) onOpen(false);
    };
    addEventListener("pointerdown", elsewhere);
    return () => removeEventListener("pointerdown", elsewhere);
  }, [isOpen]);
  useEffect(() => {
    panel.current?.querySelector<HTMLInputElement>("[aria-invalid=true]")?.focus();
  }, [faults]);
  return (
    <div class="options" ref={place}>
      <button type="button" class="button button-quiet options-switch" aria-expanded={isOpen} aria-controls={id} onClick={() => onOpen(!isOpen)}>
        <Icon of={SlidersHorizontal} size={16} />
        Options
        {limits > 0 && <span class="badge options-limits">{limits}</span>}
        {chosen + limits > 0 && <span class="badge options-all">{chosen + limits}</span>}
      </button>
      <div id={id} class={isOpen ? "options-box options-open" : "options-box"}>
        <div class="composer-choices">{children}</div>
        <div
          ref={panel}
          class="options-panel"
          hidden={!isOpen}
          onKeyDown={(event) => {
            const isText = event.target instanceof HTMLInputElement && event.target.type === "text";
            if (event.key !== "Escape" && !(event.key === "Enter" && isText)) return;
            event.preventDefault();
            onOpen(false);
            onDone();
          }}
        >
          <fieldset class="options-budget">
            <legend>Limits of the run</legend>
            {BUDGET_FIELDS.map(({ name, label }) => (
              <div key={name} class="field">
                <label class="field-label" for={`${id}-${name}`}>
                  {label}
                </label>
                <input
                  id={`${id}-${name}`}
                  type="text"
                  inputMode={name === "maxCredits" ? "decimal" : "numeric"}
                  autocomplete="off"
                  placeholder="no limit"
                  value={budget[name]}
                  aria-invalid={faults[name] !== undefined}
                  aria-describedby={faults[name] ? `${id}-${name}-fault` : undefined}
                  onInput={(event) => onBudget({ ...budget, [name]: event.currentTarget.value })}
                />
                {faults[name] && (
                  <span class="small bad" id={`${id}-${name}-fault`} role="alert">
                    {faults[name]}
                  </span>
                )}
              </div>
            ))}
          </fieldset>
          <p class="small dim">At a limit the run stops, and its work is kept. The thread keeps these limits for its next runs.</p>
          {!isTouch && (
            <label class="check options-enter">
              <input type="checkbox" checked={enterStarts.value} onChange={(event) => chooseEnter(event.currentTarget.checked)} />
              <span>
                Enter starts the run <span class="small dim">Shift+Enter does the opposite</span>
              </span>
            </label>
          )}
          <label class="check">
            <input type="checkbox" checked={suggestsTitles.value} onChange={(event) => chooseTitles(event.currentTarget.checked)} />
            <span>
              The model names new threads <span class="small dim">one short model call after the first run</span>
            </span>
          </label>
        </div>
      </div>
    </div>
  );
}
