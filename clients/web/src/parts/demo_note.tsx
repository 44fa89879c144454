// The message that no model is connected, and how to connect one.
import { isDemoNoteClosed, isDemoOnly } from "../stores/demo";
import { Note } from "./basic";

export function DemoNote() {
  if (!isDemoOnly.value || isDemoNoteClosed.value) return null;
  return (
    <Note kind="warning" onClose={() => (isDemoNoteClosed.value = true)}>
      <strong>No model is connected</strong>, so the built-in demo answers. Set <code>RUNYARD_OPENAI_API_KEY</code>,{" "}
      <code>RUNYARD_OPENAI_MODEL</code> and, if needed, <code>RUNYARD_OPENAI_BASE_URL</code> on the server.
    </Note>
  );
}
