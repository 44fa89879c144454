// The threads screen.
import { useEffect } from "preact/hooks";
import { Empty, RefusalNote, Spinner } from "../parts/basic";
import { ThreadList } from "../parts/thread_list";
import { loadMoreThreads, loadThreads, moreThreads, threads } from "../stores/threads";

export function Threads() {
  useEffect(() => {
    document.title = "Threads · Runyard";
    void loadThreads();
  }, []);
  const { value, refused, loading } = threads.state.value;
  return (
    <div class="page">
      <div class="page-head">
        <h1>Threads</h1>
        <a class="button button-primary" href="#/">
          New run
        </a>
      </div>
      {refused && <RefusalNote explained={refused} onAgain={() => void loadThreads()} />}
      {!value && loading && <Spinner label="Loading threads" />}
      {value?.length === 0 && (
        <Empty title="No threads yet">
          <p>Start a run to create a thread. A thread keeps your tasks, the agent's steps and the files.</p>
          <a class="button button-primary" href="#/">
            Start a run
          </a>
        </Empty>
      )}
      {value && value.length > 0 && <ThreadList threads={value} />}
      {moreThreads.value !== "" && (
        <button type="button" class="button" disabled={loading} onClick={() => void loadMoreThreads()}>
          {loading ? "Loading" : "Show more"}
        </button>
      )}
    </div>
  );
}
