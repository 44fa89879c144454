// The page of administrators: a list of accounts. `screens/administered.tsx` shows one of them.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Empty, RefusalNote, Spinner } from "../parts/basic";
import { ShowMore } from "../parts/managed";
import { accounts, loadMoreAccounts, moreAccounts, searchAccounts } from "../stores/administration";
import { type AdminAccount, type AdminFilter, EVERYTHING, filterOf } from "../view/administration";
import { credits, dayAndTime } from "../view/format";

const FILTERS: Record<AdminFilter, string> = {
  all: "All accounts",
  account: "Id or subject",
  tier: "Tier",
  suspended: "Suspended",
  active: "Active since",
  inactive: "Not active since",
};

export function Administration() {
  const search = useSignal(EVERYTHING);
  useEffect(() => {
    document.title = "Administration · Runyard";
    void searchAccounts(EVERYTHING);
  }, []);
  const { value, refused, loading } = accounts.state.value;
  const { by } = search.value;
  const needsDay = by === "active" || by === "inactive";
  return (
    <div class="page page-wide">
      <div class="page-head">
        <h1>Administration</h1>
      </div>
      <form
        class="usage-tools"
        role="search"
        aria-label="Search accounts"
        onSubmit={(event) => {
          event.preventDefault();
          void searchAccounts(search.peek());
        }}
      >
        <label class="choice">
          <span class="unseen">Search by</span>
          <select
            value={by}
            onChange={(event) => {
              search.value = { ...EVERYTHING, by: event.currentTarget.value as AdminFilter };
              void searchAccounts(search.peek());
            }}
          >
            {Object.entries(FILTERS).map(([name, words]) => (
              <option key={name} value={name}>
                {words}
              </option>
            ))}
          </select>
        </label>
        {(by === "account" || by === "tier") && (
          <input
            class="search"
            type="search"
            autocomplete="off"
            aria-label={by === "tier" ? "Name of the tier" : "Id, or beginning of the subject"}
            placeholder={by === "tier" ? "Name of the tier" : "Id, or beginning of the subject"}
            value={search.value.text}
            onInput={(event) => (search.value = { ...search.peek(), text: event.currentTarget.value })}
          />
        )}
        {needsDay && (
          <input
            class="search-day"
            type="date"
            aria-label="Day"
            value={search.value.day}
            onInput={(event) => (search.value = { ...search.peek(), day: event.currentTarget.value })}
          />
        )}
        {(needsDay || by === "account" || by === "tier") && (
          <button type="submit" class="button" disabled={filterOf(search.value) === null}>
            Search
          </button>
        )}
      </form>
      {refused && <RefusalNote explained={refused} onAgain={() => void searchAccounts()} />}
      {!value && loading && <Spinner label="Loading accounts" />}
      {value?.length === 0 && (
        <Empty title="No accounts found">
          <p>No account matches this search.</p>
        </Empty>
      )}
      {value && value.length > 0 && <AccountTable of={value} />}
      <ShowMore token={moreAccounts.value} loading={loading} onClick={() => void loadMoreAccounts()} />
    </div>
  );
}

function AccountTable({ of }: { of: readonly AdminAccount[] }) {
  return (
    <div class="table-scroll data" tabIndex={0} role="group" aria-label="Accounts">
      <table>
        <thead>
          <tr>
            <th scope="col">Subject</th>
            <th scope="col">Tier</th>
            <th scope="col" class="right">
              Credits
            </th>
            <th scope="col">Last activity</th>
            <th scope="col">State</th>
            <th scope="col">Id</th>
          </tr>
        </thead>
        <tbody>
          {of.map((account) => (
            <tr key={account.accountId}>
              <td class="account-subject">
                <a href={`#/administration/${account.accountId}`}>{account.subject}</a>
                {account.issuer && <span class="small dim"> {account.issuer}</span>}
              </td>
              <td>{account.tierName}</td>
              <td class="right">{credits(account.credits)}</td>
              <td class="account-time">{account.lastActiveAt === null ? "" : dayAndTime(account.lastActiveAt)}</td>
              <td>{account.suspendedAt === null ? "Active" : <strong class="bad">Suspended</strong>}</td>
              <td class="account-id">
                <code>{account.accountId}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
