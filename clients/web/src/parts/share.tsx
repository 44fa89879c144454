// The dialog that shares a thread: it creates links, lists them and revokes them. A new link is shown once.
import { Link2 } from "lucide";
import { type Signal, useSignal } from "@preact/signals";
import type { NewShare, Share } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { explainError } from "../errors";
import { announce } from "../stores/announce";
import { linkOf, loadShares, shares } from "../stores/shares";
import { day } from "../view/format";
import type { Explained } from "../view/refusal";
import { Confirm, Dialog, Note, RefusalNote } from "./basic";
import { CopyButton } from "./copy";
import { ChoiceField } from "./editor";
import { Icon } from "./icon";
import { ListState, RowButton, useActions } from "./managed";

/** Days until a new link expires; 0 for never. */
const LIFETIMES = { "1": "In one day", "7": "In 7 days", "30": "In 30 days", "0": "Never" } as const;

export function ShareDialog({ threadId, onClose }: { threadId: string; onClose: () => void }) {
  const load = () => loadShares(threadId);
  const created = useSignal<NewShare | null>(null);
  const revoking = useSignal<Share | null>(null);
  const { refused, act } = useActions(load);
  useEffect(() => {
    shares.clear();
    void load();
  }, [threadId]);
  const list = shares.value ?? [];
  return (
    <Dialog title="Share this thread" onClose={onClose}>
      <div class="dialog-text">
        <p>
          Everybody who has the link can read this thread without signing in: its name, prompts, answers and names of files, including later
          messages.
        </p>
        <NewLink threadId={threadId} created={created} onCreated={() => void load()} />
        <ListState of={shares} what="links" refused={refused} load={load}>
          <p class="dim small">This thread has no links yet.</p>
        </ListState>
        {list.length > 0 && (
          <section aria-labelledby="links">
            <h3 id="links">Links of this thread</h3>
            <ul class="keys" aria-label="Links">
              {list.map((share) => (
                <Row key={share.shareId} share={share} onRevoke={() => (revoking.value = share)} />
              ))}
            </ul>
          </section>
        )}
      </div>
      {revoking.value && (
        <Confirm
          title="Revoke this link?"
          action="Revoke"
          onClose={() => (revoking.value = null)}
          onConfirm={() => {
            const { shareId } = revoking.peek()!;
            void act("Revoked the link", async () => {
              await runyard().shares.revoke(shareId);
              if (created.peek()?.share?.shareId === shareId) created.value = null;
            });
          }}
        >
          <p>
            <code>{revoking.value.prefix}…</code> stops working immediately. Other links of the thread keep working.
          </p>
        </Confirm>
      )}
    </Dialog>
  );
}

function Row({ share, onRevoke }: { share: Share; onRevoke: () => void }) {
  const isOver = share.expiresAt !== undefined && Number(share.expiresAt) <= Date.now();
  return (
    <li class={isOver ? "key key-over" : "key"}>
      <Icon of={Link2} size={17} />
      <div>
        <code>{share.prefix}…</code>
        <p class="small dim">
          {share.createdAt && `Created ${day(share.createdAt)}`}
          {share.expiresAt ? ` · ${isOver ? "expired" : "expires"} ${day(share.expiresAt)}` : " · does not expire"}
        </p>
      </div>
      <div class="key-actions">
        <RowButton label="Revoke" of={share.prefix} onClick={onRevoke} />
      </div>
    </li>
  );
}

function NewLink({ threadId, created, onCreated }: { threadId: string; created: Signal<NewShare | null>; onCreated: () => void }) {
  const days = useSignal<keyof typeof LIFETIMES>("30");
  const refused = useSignal<Explained | null>(null);
  const creating = useSignal(false);
  const create = async () => {
    if (creating.value) return;
    creating.value = true;
    refused.value = null;
    const lifetime = Number(days.value);
    const fields = lifetime > 0 ? { expiresAt: new Date(Date.now() + lifetime * 86_400_000) } : {};
    try {
      created.value = await runyard().shares.create(threadId, fields);
      announce("Created a link");
      onCreated();
    } catch (error) {
      refused.value = explainError(error);
    } finally {
      creating.value = false;
    }
  };
  const link = created.value && linkOf(created.value.token);
  return (
    <>
      <form
        class="share-new"
        onSubmit={(event) => {
          event.preventDefault();
          void create();
        }}
      >
        <ChoiceField label="The link expires" chosen={days} choices={LIFETIMES} />
        <button type="submit" class="button button-primary" disabled={creating.value}>
          Create link
        </button>
      </form>
      {refused.value && <RefusalNote explained={refused.value} />}
      {link && (
        <>
          <Note kind="good">Copy the link now. It is shown only once.</Note>
          <div class="secret">
            <input class="code" readOnly aria-label="Link" value={link} onFocus={(event) => event.currentTarget.select()} />
            <CopyButton text={link} what="the link" label />
          </div>
        </>
      )}
    </>
  );
}
