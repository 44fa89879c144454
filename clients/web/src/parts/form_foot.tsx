// The buttons below the form of an input.

/** The buttons below a form: one sends it, and the other one does something else. */
export function Foot({
  send,
  sendClass = "button-primary",
  other,
  otherClass = "",
  sending,
  isEmpty = false,
  onOther,
}: {
  send: string;
  sendClass?: string;
  other: string;
  otherClass?: string;
  sending: boolean;
  /** An empty form cannot be sent. */
  isEmpty?: boolean;
  onOther: () => void;
}) {
  return (
    <div class="asks-actions">
      <button type="submit" class={`button ${sendClass}`} disabled={sending || isEmpty}>
        {send}
      </button>
      <button type="button" class={`button ${otherClass}`} disabled={sending} onClick={onOther}>
        {other}
      </button>
    </div>
  );
}
