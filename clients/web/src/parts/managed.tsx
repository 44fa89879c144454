// The common parts of the lists of objects that the user manages, such as schedules, triggers and webhooks.
import { Plus } from "lucide";
import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { explainError } from "../errors";
import { announce } from "../stores/announce";
import type { Loadable } from "../stores/loaded";
import type { Explained } from "../view/refusal";
import { RefusalNote, Spinner } from "./basic";
import { Icon } from "./icon";

export interface Actions {
  refused: Signal<Explained | null>;
  /** Sends a request, announces `done`, and loads the list again. */
  act: (done: string, action: () => Promise<unknown>) => Promise<void>;
}

export function useActions(load: () => Promise<void>): Actions {
  const refused = useSignal<Explained | null>(null);
  const act = async (done: string, action: () => Promise<unknown>) => {
    refused.value = null;
    try {
      await action();
      announce(done);
      await load();
    } catch (error) {
      refused.value = explainError(error);
    }
  };
  return { refused, act };
}

/** The errors of a list, and its state while nothing is loaded. `children` are shown for an empty list. */
export function ListState<T>({
  of,
  what,
  refused,
  load,
  children,
}: {
  of: Loadable<readonly T[]>;
  what: string;
  refused: Signal<Explained | null>;
  load: () => Promise<void>;
  children: ComponentChildren;
}) {
  const { value, refused: notLoaded, loading } = of.state.value;
  return (
    <>
      {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
      {notLoaded && <RefusalNote explained={notLoaded} onAgain={() => void load()} />}
      {!value && loading && <Spinner label={`Loading ${what}`} />}
      {value?.length === 0 && children}
    </>
  );
}

/** The button above a list that opens the editor of a new object. */
export function NewButton({ label, look = "", onClick }: { label: string; look?: string; onClick: () => void }) {
  return (
    <button type="button" class={`button push ${look}`} onClick={onClick}>
      <Icon of={Plus} size={17} />
      {label}
    </button>
  );
}

/** A button of one object. `of` names the object for screen readers. */
export function RowButton({
  label,
  of,
  disabled = false,
  expanded,
  onClick,
}: {
  label: string;
  of: string;
  disabled?: boolean;
  expanded?: boolean;
  onClick: () => void;
}) {
  return (
    <button type="button" class="button button-small" aria-label={`${label} ${of}`} aria-expanded={expanded} disabled={disabled} onClick={onClick}>
      {label}
    </button>
  );
}

/** The last row of a page of results. */
export function ShowMore({ token, loading, onClick }: { token: string; loading: boolean; onClick: () => void }) {
  if (token === "") return null;
  return (
    <button type="button" class="button button-small" disabled={loading} onClick={onClick}>
      {loading ? "Loading" : "Show more"}
    </button>
  );
}
