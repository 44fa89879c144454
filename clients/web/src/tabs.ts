// Shares the session between the tabs of one browser, without storing it on the device.
//
// A new tab asks the other tabs for the session. Only pages of the console's origin receive these messages. When the last
// tab closes, the session is gone. Signing out in one tab signs out all tabs with the same sign-in.
import { newId } from "@runyard/client";
import type { Session } from "./session";

const NAME = "runyard.session";
/** Maximum milliseconds for which a tab waits for an answer. A later answer still counts. */
const WAIT_MS = 150;

/** An answer names its question, because every tab receives every message. */
type Message =
  | { kind: "ask"; question: string }
  | { kind: "answer"; question: string; session: Session }
  | { kind: "renew"; identity: string }
  | { kind: "renewed"; session: Session }
  | { kind: "signed-out"; identity: string; reason: string | null };

/** The sign-in of this tab. */
export interface Tab {
  session: () => Session | null;
  /** Called with the session that the tab asked for, or with a renewed session. */
  onSession: (session: Session) => void;
  onRenewalWanted: () => void;
  onSignedOut: (reason: string | null) => void;
}

/** Identifies a sign-in. A renewed token belongs to the same sign-in. */
export function identityOf(session: Session | null): string | null {
  return session && (session.grant?.id ?? session.token);
}

let channel: BroadcastChannel | null = null;
/** The question of this tab; empty before it asks, and after a sign-out. */
let question = "";

/** Joins the other tabs. Without the browser's support, the tab stays alone. */
export function joinTabs(tab: Tab): void {
  if (channel || typeof BroadcastChannel !== "function") return;
  channel = new BroadcastChannel(NAME);
  channel.addEventListener("message", ({ data }: MessageEvent<Message>) => {
    const session = tab.session();
    switch (data.kind) {
      case "ask":
        if (session !== null) send({ kind: "answer", question: data.question, session });
        break;
      case "answer":
        if (data.question === question) tab.onSession(data.session);
        break;
      case "renew":
        if (data.identity === identityOf(session)) tab.onRenewalWanted();
        break;
      case "renewed":
        if (identityOf(data.session) === identityOf(session)) tab.onSession(data.session);
        break;
      case "signed-out":
        if (session === null) stopAsking();
        else if (data.identity === identityOf(session)) tab.onSignedOut(data.reason);
        break;
    }
  });
}

/** Asks the other tabs for the session. Resolves when `isAnswered`, or after a short time. */
export async function askTabs(isAnswered: () => boolean): Promise<void> {
  if (!channel) return;
  const asked = channel;
  let listen = () => {};
  const answer = new Promise<void>((resolve) => {
    listen = () => {
      if (isAnswered()) resolve();
    };
    asked.addEventListener("message", listen);
  });
  question = newId();
  send({ kind: "ask", question });
  await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, WAIT_MS))]);
  asked.removeEventListener("message", listen);
}

/** Ignores later answers. After a sign-out, a frozen tab may still answer with the session that has ended. */
export function stopAsking(): void {
  question = "";
}

export function tellSignedOut(identity: string, reason: string | null): void {
  send({ kind: "signed-out", identity, reason });
}

export function tellRenewed(session: Session): void {
  send({ kind: "renewed", session });
}

/** Asks the tab that renews the token to renew it now. */
export function wantRenewal(identity: string): void {
  send({ kind: "renew", identity });
}

function send(message: Message): void {
  channel?.postMessage(message);
}
