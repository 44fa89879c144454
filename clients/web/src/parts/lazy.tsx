// Screens that are loaded when they are first gone to.
import { type ComponentChild, type FunctionComponent, h } from "preact";
import { signal, type Signal } from "@preact/signals";
import { Note } from "./basic";

/** A component that may have to be loaded. */
export interface Lazy<P> {
  state: Signal<FunctionComponent<P> | Error | null>;
  load: () => void;
}

/** Makes a component that is loaded when it is first drawn. */
export function lazy<P>(load: () => Promise<FunctionComponent<P>>): Lazy<P> {
  const state = signal<FunctionComponent<P> | Error | null>(null);
  let loading = false;
  return {
    state,
    load: () => {
      if (loading) return;
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

/** Draws such a component, or something else until it is there. */
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
          This page could not be loaded.{" "}
          <button type="button" class="button button-small" onClick={() => location.reload()}>
            Load the console again
          </button>
        </Note>
      </div>
    );
  }
  return component ? h(component as FunctionComponent<object>, properties) : fallback;
}
