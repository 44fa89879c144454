// One account, as an administrator sees it: its state, the changes to it, and its model calls.
import { newId } from "@runyard/client";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Field, Note, RefusalNote, Spinner } from "../parts/basic";
import { EditorDialog, LinesField, TextField } from "../parts/editor";
import { ShowMore, useActions } from "../parts/managed";
import { accounts, charges, grant, loadAccountOf, loadCharges, loadMoreCharges, moreCharges, openAccount, resume, setTier, suspend } from "../stores/administration";
import { announce } from "../stores/announce";
import { type AdminAccount, grantOf } from "../view/administration";
import { count, credits, dayAndTime } from "../view/format";

const MAX_REASON = 500;

type Change = "suspend" | "tier" | "grant";

export function Administered({ accountId }: { accountId: string }) {
  const changing = useSignal<Change | null>(null);
  const reload = () => loadAccountOf(accountId);
  const { refused, act } = useActions(reload);
  useEffect(() => {
    document.title = "Account · Administration · Runyard";
    void reload().then(() => loadCharges(accountId));
  }, [accountId]);
  const { value, refused: notLoaded, loading } = openAccount.state.value;
  const saved = (words: string) => {
    changing.value = null;
    announce(words);
  };
  return (
    <div class="page">
      <p class="small">
        <a href="#/administration">All accounts</a>
      </p>
      <h1 class="account-subject">{value?.subject ?? "Account"}</h1>
      {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
      {notLoaded && <RefusalNote explained={notLoaded} onAgain={() => void reload()} />}
      {!value && loading && <Spinner label="Loading the account" />}
      {value && (
        <>
          {value.suspendedAt !== null && (
            <Note kind="warning">
              <strong>Suspended since {dayAndTime(value.suspendedAt)}</strong>
              <p>{value.suspendedReason || "No reason was given."}</p>
            </Note>
          )}
          <Details account={value} />
          <div class="dialog-actions account-actions">
            <button type="button" class="button" onClick={() => (changing.value = "grant")}>
              Grant credits
            </button>
            <button type="button" class="button" onClick={() => (changing.value = "tier")}>
              Set tier
            </button>
            {value.suspendedAt === null ? (
              <button type="button" class="button button-danger" onClick={() => (changing.value = "suspend")}>
                Suspend
              </button>
            ) : (
              <button type="button" class="button button-primary" onClick={() => void act("Account resumed", () => resume(accountId))}>
                Resume
              </button>
            )}
          </div>
          <Calls accountId={accountId} />
          {changing.value === "suspend" && <SuspendDialog account={value} onClose={() => (changing.value = null)} onSaved={() => saved("Account suspended")} />}
          {changing.value === "tier" && <TierDialog account={value} onClose={() => (changing.value = null)} onSaved={() => saved("Tier changed")} />}
          {changing.value === "grant" && <GrantDialog account={value} onClose={() => (changing.value = null)} onSaved={() => saved("Credits granted")} />}
        </>
      )}
    </div>
  );
}

function Details({ account }: { account: AdminAccount }) {
  const facts: [name: string, value: string][] = [
    ["Tier", account.tierName],
    ["Credits", credits(account.credits)],
    ["Last activity", account.lastActiveAt === null ? "" : dayAndTime(account.lastActiveAt)],
    ["Created", account.createdAt === null ? "" : dayAndTime(account.createdAt)],
    ["Issuer", account.issuer || "This server"],
    ["Id", account.accountId],
  ];
  return (
    <dl class="account-facts" aria-label="Details of the account">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt class="small dim">{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

interface ChangeProperties {
  account: AdminAccount;
  onClose: () => void;
  onSaved: () => void;
}

function SuspendDialog({ account, onClose, onSaved }: ChangeProperties) {
  const reason = useSignal("");
  const save = async () => {
    await suspend(account.accountId, reason.peek().trim());
    onSaved();
  };
  return (
    <EditorDialog title="Suspend this account?" action="Suspend" onSave={save} onClose={onClose}>
      <p>The server refuses its calls, its schedules and triggers start no runs, and its unfinished runs are stopped. Nothing is deleted.</p>
      <LinesField label="Reason" hint="Optional. It is written to the audit log." optional maxLength={MAX_REASON} rows={3} text={reason} />
    </EditorDialog>
  );
}

function TierDialog({ account, onClose, onSaved }: ChangeProperties) {
  const tier = useSignal(account.tierName);
  // The API has no list of tiers. The tiers of the listed accounts are suggestions.
  const known = [...new Set((accounts.value ?? []).map(({ tierName }) => tierName))].sort();
  const save = async () => {
    await setTier(account.accountId, tier.peek().trim());
    onSaved();
  };
  return (
    <EditorDialog title="Set the tier" action="Set tier" canSave={tier.value.trim() !== "" && tier.value.trim() !== account.tierName} onSave={save} onClose={onClose}>
      <Field label="Tier" hint="The balance stays. The next monthly grant uses the credits of the new tier.">
        <input type="text" list="known-tiers" autocomplete="off" required value={tier.value} onInput={(event) => (tier.value = event.currentTarget.value)} />
      </Field>
      <datalist id="known-tiers">
        {known.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </EditorDialog>
  );
}

function GrantDialog({ account, onClose, onSaved }: ChangeProperties) {
  const amount = useSignal("");
  const reason = useSignal("");
  // A repeated request of this dialog grants the credits only once.
  const requestId = useSignal(newId());
  const wanted = grantOf(amount.value);
  const save = async () => {
    if (wanted === null) return;
    await grant(account.accountId, wanted, reason.peek().trim(), requestId.peek());
    onSaved();
  };
  return (
    <EditorDialog title="Grant credits" action="Grant credits" canSave={wanted !== null} onSave={save} onClose={onClose}>
      <Field label="Credits" hint={wanted === null ? "A whole number from 1 to 1,000,000,000. 100 credits equal one US dollar." : `$${(wanted / 100).toFixed(2)}`}>
        <input type="text" inputMode="numeric" autocomplete="off" required value={amount.value} onInput={(event) => (amount.value = event.currentTarget.value)} />
      </Field>
      <TextField label="Reason" hint="Optional. It is written to the audit log." optional maxLength={MAX_REASON} text={reason} />
    </EditorDialog>
  );
}

function Calls({ accountId }: { accountId: string }) {
  const { value, refused, loading } = charges.state.value;
  return (
    <section aria-labelledby="account-usage">
      <h2 id="account-usage">Usage</h2>
      {refused && <RefusalNote explained={refused} onAgain={() => void loadCharges(accountId)} />}
      {!value && loading && <Spinner label="Loading usage" />}
      {value?.length === 0 && <p class="dim">No model calls yet.</p>}
      {value && value.length > 0 && (
        <div class="table-scroll data" tabIndex={0} role="group" aria-label="Model calls, newest first">
          <table>
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col">Model</th>
                {["Input tokens", "Output tokens", "Credits"].map((name) => (
                  <th key={name} scope="col" class="right">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {value.map((charge, at) => (
                <tr key={`${charge.runId}-${charge.step}-${at}`}>
                  <td class="account-time">{charge.createdAt === null ? "" : dayAndTime(charge.createdAt)}</td>
                  <td>{charge.modelName}</td>
                  <td class="right">
                    {charge.estimated && "≈ "}
                    {count(charge.inputTokens)}
                  </td>
                  <td class="right">
                    {charge.estimated && "≈ "}
                    {count(charge.outputTokens)}
                  </td>
                  <td class="right">{credits(charge.credits)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <ShowMore token={moreCharges.value} loading={loading} onClick={() => void loadMoreCharges(accountId)} />
    </section>
  );
}
