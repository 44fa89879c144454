// Shares the sign-in between the tabs of one browser, without storing the token on the device.
//
// A new tab asks the other tabs for the token. Only pages of the console's origin receive these messages. When the last
// tab closes, the token is gone. Signing out in one tab signs out all tabs with the same token.
import { newId } from "@runyard/client";

const NAME = "runyard.session";
/** Maximum milliseconds for which a new tab waits before it shows the sign-in form. A later answer still signs it in. */
const WAIT_MS = 150;

/** An answer names its question, because every tab receives every message. */
type Message = { kind: "ask"; question: string } | { kind: "answer"; question: string; token: string } | { kind: "signed-out"; token: string; reason: string | null };

/** The sign-in of this tab. */
export interface Tab {
  token: () => string | null;
  onToken: (token: string) => void;
  onSignedOut: (reason: string | null) => void;
}

let channel: BroadcastChannel | null = null;
/** The question of this tab; empty before it asks. */
let question = "";

/** Joins the other tabs. Without the browser's support, the tab stays alone. */
export function joinTabs(tab: Tab): void {
  if (channel || typeof BroadcastChannel !== "function") return;
  channel = new BroadcastChannel(NAME);
  channel.addEventListener("message", ({ data }: MessageEvent<Message>) => {
    const token = tab.token();
    if (data.kind === "ask") {
      if (token !== null) send({ kind: "answer", question: data.question, token });
    } else if (data.kind === "answer") {
      if (token === null && data.question === question) tab.onToken(data.token);
    } else if (data.token === token) {
      tab.onSignedOut(data.reason);
    }
  });
}

/** Asks the other tabs for the token. Resolves when `isAnswered`, or after a short time. */
export async function askTabs(isAnswered: () => boolean): Promise<void> {
  if (!channel) return;
  const asked = channel;
  const answer = new Promise<void>((resolve) => {
    const listen = () => {
      if (!isAnswered()) return;
      asked.removeEventListener("message", listen);
      resolve();
    };
    asked.addEventListener("message", listen);
  });
  question = newId();
  send({ kind: "ask", question });
  await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, WAIT_MS))]);
}

export function tellSignedOut(token: string, reason: string | null): void {
  send({ kind: "signed-out", token, reason });
}

function send(message: Message): void {
  channel?.postMessage(message);
}
