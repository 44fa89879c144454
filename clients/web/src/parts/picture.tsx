// An image of a workspace.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { explainError } from "../errors";
import { readImage } from "../stores/files";
import type { Explained } from "../view/refusal";
import { Note, Spinner } from "./basic";

/** An image from a sandbox. Scripts in an SVG do not run, because the file is only the source of an image element. */
export function Picture({ sandboxId, path, version, label }: { sandboxId: string; path: string; version: number; label?: string }) {
  const address = useSignal<string | null>(null);
  const refused = useSignal<Explained | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    let objectUrl: string | null = null;
    readImage(sandboxId, path, abort.signal).then(
      (blob) => {
        if (abort.signal.aborted) return;
        objectUrl = URL.createObjectURL(blob);
        address.value = objectUrl;
        refused.value = null;
      },
      (error) => {
        if (!abort.signal.aborted) refused.value = explainError(error);
      },
    );
    return () => {
      abort.abort();
      if (objectUrl) URL.revokeObjectURL(objectUrl);
    };
  }, [sandboxId, path, version]);
  if (refused.value) return <Note kind="error">{refused.value.text}</Note>;
  return address.value ? <img class="picture" src={address.value} alt={label ?? path} /> : <Spinner label="Loading the image" />;
}
