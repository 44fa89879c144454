// Thumbnails of the images that belong to a message or to the result of a tool.
import type { Attachment } from "@runyard/client";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { bytes } from "../view/format";
import { Picture } from "./picture";

/** The workspace of the messages that are shown; null if there is none yet. `onFile` opens a file of the workspace. */
export const Workspace = createContext<{ sandboxId: string | null; onFile: (path: string) => void }>({ sandboxId: null, onFile: () => {} });

/** Maximum number of thumbnails of one message. */
const MAX_PICTURES = 8;
/** Maximum size of an image that is loaded for a thumbnail, in bytes. */
const MAX_BYTES = 8_000_000;

/** Returns whether a file is an image that the console can show. */
export function isPicture(file: Attachment): boolean {
  return file.width !== undefined && file.size <= MAX_BYTES;
}

export function Pictures({ of, label }: { of: readonly Attachment[]; label: string }) {
  const { sandboxId, onFile } = useContext(Workspace);
  const shown = of.filter(isPicture).slice(0, MAX_PICTURES);
  if (!sandboxId || shown.length === 0) return null;
  return (
    <ul class="pictures" aria-label={label}>
      {shown.map((file) => (
        <li key={file.path}>
          <button type="button" class="thumbnail" aria-label={`Open ${file.path}`} onClick={() => onFile(file.path)}>
            <Picture sandboxId={sandboxId} path={file.path} version={file.size} label={`${file.name}, ${file.width} × ${file.height} pixels, ${bytes(file.size)}`} />
          </button>
        </li>
      ))}
    </ul>
  );
}
