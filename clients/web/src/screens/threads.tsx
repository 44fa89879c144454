// The threads screen: the threads by day, a search of names and messages, and the deletion of several threads.
import { ListChecks, Trash2 } from "lucide";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { explainError } from "../errors";
import { Confirm, Empty, RefusalNote, Spinner } from "../parts/basic";
import { Icon } from "../parts/icon";
import { ThreadList } from "../parts/thread_list";
import { loadAccount } from "../stores/account";
import { announce } from "../stores/announce";
import { useNow } from "../stores/clock";
import { deleteThreads, loadMoreThreads, loadThreads, moreThreads, searchThreads, searched, threads } from "../stores/threads";
import { groupByDay, matches, merged } from "../view/days";
import { counted } from "../view/format";
import type { Explained } from "../view/refusal";

/** Milliseconds after the last key before the server searches. */
const DEBOUNCE_MS = 250;
/** The server refuses a longer search. */
const MAX_SEARCH = 200;

export function Threads() {
  const search = useSignal("");
  /** The selected threads; null while the user does not select threads. */
  const chosen = useSignal<ReadonlySet<string> | null>(null);
  const asks = useSignal(false);
  const deleting = useSignal<{ done: number; all: number } | null>(null);
  const refused = useSignal<Explained | null>(null);
  const now = useNow();
  useEffect(() => {
    document.title = "Threads · Runyard";
    void loadThreads();
    return () => searched.clear();
  }, []);
  const words = search.value.trim();
  const isSearch = words !== "";
  useEffect(() => {
    if (!isSearch) return;
    const timer = setTimeout(() => void searchThreads(words), DEBOUNCE_MS);
    return () => clearTimeout(timer);
  }, [words]);
  const { refused: notLoaded, loading } = (isSearch ? searched : threads).state.value;
  const found = searched.value?.words === words ? searched.value : null;
  const all = threads.value;
  // Loaded threads with a matching title are shown before the server answers, and stay.
  const titled = all?.filter((thread) => matches(thread.name || "Untitled", words)) ?? [];
  const value = isSearch ? merged(titled, found?.threads ?? []) : all;
  const isSearching = isSearch && !found && !notLoaded;
  const toggle = (threadId: string) => {
    const next = new Set(chosen.peek());
    if (!next.delete(threadId)) next.add(threadId);
    chosen.value = next;
  };
  const remove = async () => {
    const ids = [...(chosen.peek() ?? [])];
    deleting.value = { done: 0, all: ids.length };
    const errors = await deleteThreads(ids, (done) => (deleting.value = { done, all: ids.length }));
    deleting.value = null;
    const deleted = ids.length - errors.length;
    announce(`Deleted ${counted(deleted, "thread")}`);
    void loadAccount();
    const explained = errors.length > 0 ? explainError(errors[0]) : null;
    refused.value = explained && { ...explained, title: `${counted(errors.length, "thread")} could not be deleted`, text: `${explained.title}. ${explained.text}` };
    chosen.value = null;
  };
  return (
    <div class="page">
      <div class="page-head">
        <h1>Threads</h1>
        <a class="button button-primary" href="#/">
          New run
        </a>
      </div>
      {threads.value && threads.value.length > 0 && (
        <div class="threads-tools">
          <input
            type="search"
            class="search"
            aria-label="Search threads"
            placeholder="Search names and messages"
            maxLength={MAX_SEARCH}
            value={search.value}
            onInput={(event) => (search.value = event.currentTarget.value)}
          />
          {chosen.value ? (
            <div class="threads-chosen" role="group" aria-label="Selected threads">
              <span class="small numbers" role="status">
                {deleting.value ? `Deleting: ${deleting.value.done} of ${deleting.value.all}` : `${chosen.value.size} selected`}
              </span>
              <button
                type="button"
                class="button button-small"
                disabled={deleting.value !== null}
                onClick={() => (chosen.value = new Set(value?.map((thread) => thread.threadId)))}
              >
                Select all
              </button>
              <button type="button" class="button button-small button-danger" disabled={chosen.value.size === 0 || deleting.value !== null} onClick={() => (asks.value = true)}>
                <Icon of={Trash2} size={14} />
                Delete
              </button>
              <button type="button" class="button button-small" disabled={deleting.value !== null} onClick={() => (chosen.value = null)}>
                Cancel
              </button>
            </div>
          ) : (
            <button type="button" class="button" onClick={() => (chosen.value = new Set())}>
              <Icon of={ListChecks} size={16} />
              Select
            </button>
          )}
        </div>
      )}
      {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
      {notLoaded && <RefusalNote explained={notLoaded} onAgain={() => void (isSearch ? searchThreads(words) : loadThreads())} />}
      {!value && loading && <Spinner label="Loading threads" />}
      {value?.length === 0 && isSearching && <Spinner label="Searching" />}
      {value?.length === 0 && found && <p class="dim">{found.next ? "No thread found yet." : "No thread contains these words."}</p>}
      {value?.length === 0 && !isSearch && (
        <Empty title="No threads yet">
          <p>Start a run to create a thread. A thread keeps your tasks, the agent's steps and the files.</p>
          <a class="button button-primary" href="#/">
            Start a run
          </a>
        </Empty>
      )}
      {value && value.length > 0 && (
        <div class="threads-days">
          {groupByDay(value, (thread) => thread.updatedAt, now).map(({ label, items }) => (
            <section key={label}>
              <h2 class="threads-day">{label}</h2>
              <ThreadList threads={items} label={label} selection={chosen.value && { chosen: chosen.value, onToggle: toggle }} />
            </section>
          ))}
        </div>
      )}
      {found && found.next !== "" && (
        <button type="button" class="button" disabled={loading} onClick={() => void searchThreads(words)}>
          {loading ? "Searching" : "Search older threads"}
        </button>
      )}
      {!isSearch && moreThreads.value !== "" && (
        <button type="button" class="button" disabled={loading} onClick={() => void loadMoreThreads()}>
          {loading ? "Loading" : "Show more"}
        </button>
      )}
      {asks.value && chosen.value && (
        <Confirm title={`Delete ${counted(chosen.value.size, "thread")}?`} action="Delete" onClose={() => (asks.value = false)} onConfirm={() => void remove()}>
          <p>This permanently deletes the selected threads with their messages and runs.</p>
        </Confirm>
      )}
    </div>
  );
}
