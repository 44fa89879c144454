// Loads the code of a screen when the screen is first opened.
import { type ComponentChild, type FunctionComponent, h } from "preact";
import { signal, type Signal } from "@preact/signals";
import { Note } from "./basic";

export interface Lazy<P> {
  state: Signal<FunctionComponent<P> | Error | null>;
  load: () => void;
}

export function lazy<P>(load: () => Promise<FunctionComponent<P>>): Lazy<P> {
  const state = signal<FunctionComponent<P> | Error | null>(null);
  let loading = false;
  return {
    state,
    load: () => {
      // After a failure, only a reload of the page helps: a new attempt for each rendering would never end.
      if (loading || state.peek() instanceof Error) return;
      loading = true;
      load().then(
        (component) => (state.value = component),
        (error: unknown) => {
          loading = false;
          state.value = error instanceof Error ? error : new Error(String(error));
        },
      );
    },
  };
}

export function Suspense<P extends object>({
  of,
  fallback,
  properties,
}: {
  of: Lazy<P>;
  fallback: ComponentChild;
  properties: P & { key?: string };
}) {
  of.load();
  const component = of.state.value;
  if (component instanceof Error) {
    return (
      <div class="page">
        <Note kind="error">
          This page could not be loaded. The server may be unreachable, or it was updated.{" "}
          <button type="button" class="button button-small" onClick={() => location.reload()}>
            Reload
          </button>
        </Note>
      </div>
    );
  }
  return component ? h(component as FunctionComponent<object>, properties) : fallback;
}
