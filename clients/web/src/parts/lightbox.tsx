// An image that a click enlarges to the size of the window, or to its own size.
import { useState } from "preact/hooks";
import { Dialog } from "./basic";
import { Picture } from "./picture";

export function LargePicture({ sandboxId, path, version }: { sandboxId: string; path: string; version: number }) {
  const [isOpen, setOpen] = useState(false);
  const [isWhole, setWhole] = useState(true);
  return (
    <>
      <button type="button" class="enlarge" aria-label={`Enlarge ${path}`} onClick={() => setOpen(true)}>
        <Picture sandboxId={sandboxId} path={path} version={version} />
      </button>
      {isOpen && (
        <Dialog title={path} size="full" onClose={() => setOpen(false)}>
          <div class="lightbox-tools">
            <button type="button" class="button button-small" aria-pressed={!isWhole} onClick={() => setWhole(!isWhole)}>
              Original size
            </button>
          </div>
          <div class={isWhole ? "lightbox lightbox-whole" : "lightbox"} tabIndex={0} role="group" aria-label="Enlarged image">
            <Picture sandboxId={sandboxId} path={path} version={version} />
          </div>
        </Dialog>
      )}
    </>
  );
}
