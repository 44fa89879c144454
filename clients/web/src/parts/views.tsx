// A switch between ways to show the same content.
import type { ComponentChild } from "preact";
import { useState } from "preact/hooks";

/** A way to show a content. The first one is chosen at first. */
export type View = { label: string; draw: () => ComponentChild };

export function Views({ label, views }: { label: string; views: readonly View[] }) {
  const [chosen, setChosen] = useState(0);
  return (
    <>
      {views.length > 1 && (
        <div class="switch preview-switch" role="group" aria-label={label}>
          {views.map(({ label: name }, at) => (
            <button key={name} type="button" aria-pressed={at === chosen} onClick={() => setChosen(at)}>
              {name}
            </button>
          ))}
        </div>
      )}
      {(views[chosen] ?? views[0])?.draw()}
    </>
  );
}
