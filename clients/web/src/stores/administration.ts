// The accounts of the server, for administrators.
//
// The server decides who is an administrator: it refuses every method of AdminService to other callers. The console asks
// once after the sign-in, and shows the page only if the answer is not a refusal.
import { signal } from "@preact/signals";
import { isRunyardError } from "@runyard/client";
import { AdminService } from "@runyard/client/proto";
import { runyard } from "../client";
import { type AdminAccount, type AdminCharge, type AdminSearch, EVERYTHING, accountOf, chargeOf, filterOf, isUuid, withAccount } from "../view/administration";
import { Loadable } from "./loaded";

const PAGE = 50;
const methods = AdminService.method;

/** Whether the signed-in caller is an administrator. */
export const administrator = new Loadable<boolean>();
/** The accounts that match the last search. */
export const accounts = new Loadable<readonly AdminAccount[]>();
/** The token of the next page; empty when all accounts are loaded. */
export const moreAccounts = signal("");
/** The open account. */
export const openAccount = new Loadable<AdminAccount>();
/** Model calls of the open account, newest first. */
export const charges = new Loadable<readonly AdminCharge[]>();
export const moreCharges = signal("");

let lastSearch: AdminSearch = EVERYTHING;

export function checkAdministrator(): Promise<void> {
  return administrator.load(async () => {
    try {
      await runyard().call(methods.listAccounts, { pageSize: 1 });
      return true;
    } catch (error) {
      if (isRunyardError(error) && error.errorCode === "PERMISSION_DENIED") return false;
      throw error;
    }
  });
}

/** Loads the first page of a search. A search without its text or its day is ignored. */
export function searchAccounts(search: AdminSearch = lastSearch): Promise<void> {
  const filter = filterOf(search);
  if (!filter) return Promise.resolve();
  lastSearch = search;
  return accounts.load(async () => {
    const text = search.text.trim();
    // A subject can look like an id, so an id that no account has is searched as a subject.
    const found = search.by === "account" && isUuid(text) ? await accountById(text) : null;
    if (found) {
      moreAccounts.value = "";
      return [found];
    }
    const page = await runyard().call(methods.listAccounts, { ...filter, pageSize: PAGE });
    moreAccounts.value = page.nextPageToken;
    return page.accounts.map(accountOf);
  });
}

export function loadMoreAccounts(): Promise<void> {
  const filter = filterOf(lastSearch);
  const before = accounts.state.peek().value ?? [];
  if (!filter) return Promise.resolve();
  return accounts.load(async () => {
    const page = await runyard().call(methods.listAccounts, { ...filter, pageSize: PAGE, pageToken: moreAccounts.peek() });
    moreAccounts.value = page.nextPageToken;
    return [...before, ...page.accounts.map(accountOf)];
  });
}

async function accountById(accountId: string): Promise<AdminAccount | null> {
  try {
    return accountOf(await runyard().call(methods.getAccount, { accountId }));
  } catch (error) {
    if (isRunyardError(error) && error.errorCode === "ACCOUNT_NOT_FOUND") return null;
    throw error;
  }
}

export async function loadAccountOf(accountId: string): Promise<void> {
  if (openAccount.state.peek().value?.accountId !== accountId) {
    openAccount.clear();
    charges.clear();
    moreCharges.value = "";
  }
  await openAccount.load(async () => accountOf(await runyard().call(methods.getAccount, { accountId })));
}

export function loadCharges(accountId: string): Promise<void> {
  return charges.load(() => chargesPage(accountId, ""));
}

export function loadMoreCharges(accountId: string): Promise<void> {
  const before = charges.state.peek().value ?? [];
  return charges.load(async () => [...before, ...(await chargesPage(accountId, moreCharges.peek()))]);
}

async function chargesPage(accountId: string, pageToken: string): Promise<AdminCharge[]> {
  const page = await runyard().call(methods.listAccountUsage, { accountId, pageSize: PAGE, pageToken });
  moreCharges.value = page.nextPageToken;
  return page.entries.map(chargeOf);
}

export async function suspend(accountId: string, reason: string): Promise<void> {
  changed(accountOf(await runyard().call(methods.suspendAccount, { accountId, reason })));
}

export async function resume(accountId: string): Promise<void> {
  changed(accountOf(await runyard().call(methods.resumeAccount, { accountId })));
}

export async function setTier(accountId: string, tierName: string): Promise<void> {
  changed(accountOf(await runyard().call(methods.setAccountTier, { accountId, tierName })));
}

/** Requests with the same `requestId` grant the credits only once. */
export async function grant(accountId: string, credits: number, reason: string, requestId: string): Promise<void> {
  changed(accountOf(await runyard().call(methods.grantCredits, { accountId, credits: BigInt(credits), reason, requestId })));
}

function changed(account: AdminAccount): void {
  openAccount.set(account);
  const list = accounts.state.peek().value;
  if (list) accounts.set(withAccount(list, account));
}
