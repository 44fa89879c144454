// The home screen: the composer, example tasks and recent threads.
import { ChartLine, FileText, SquareTerminal } from "lucide";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Meter, RefusalNote } from "../parts/basic";
import { Composer, type Suggestion } from "../parts/composer";
import { Icon } from "../parts/icon";
import { ThreadList } from "../parts/thread_list";
import { go } from "../router";
import { account, isUnlimited, loadAccount } from "../stores/account";
import { loadThreads, threads } from "../stores/threads";
import { credits } from "../view/format";
import { sampleLog, sampleNotes, sampleTable } from "./samples";

export function Home() {
  const suggestion = useSignal<Suggestion | null>(null);
  useEffect(() => {
    document.title = "New run · Runyard";
    void loadThreads();
  }, []);
  const suggest = (prompt: string, files: File[]) => {
    suggestion.value = { prompt, files, turn: (suggestion.peek()?.turn ?? 0) + 1 };
  };
  const list = threads.value;
  return (
    <div class="page home">
      <h1>What should the agent do?</h1>
      <Composer
        large
        suggestion={suggestion.value}
        onStarted={({ threadId }) => {
          void loadThreads();
          go(`/threads/${threadId}`);
        }}
      />
      <div class="tries" role="group" aria-label="Examples">
        <button type="button" class="try" onClick={() => suggest("Analyze data.csv and create visualizations", [sampleTable()])}>
          <Icon of={ChartLine} />
          <span>
            <strong>Analyze a table</strong>
            <span class="small">Turn a year of sales (CSV) into a report and a chart</span>
          </span>
        </button>
        <button type="button" class="try" onClick={() => suggest("Summarize notes.txt in three sentences", [sampleNotes()])}>
          <Icon of={FileText} />
          <span>
            <strong>Summarize a document</strong>
            <span class="small">Condense meeting notes into three sentences</span>
          </span>
        </button>
        <button type="button" class="try" onClick={() => suggest("Write a script that finds the slowest requests and the errors in server.log, and run it", [sampleLog()])}>
          <Icon of={SquareTerminal} />
          <span>
            <strong>Search a log</strong>
            <span class="small">Run a script in the sandbox with live output</span>
          </span>
        </button>
      </div>
      <PlanLine />
      <section aria-labelledby="recent">
        <div class="section-head">
          <h2 id="recent">Recent threads</h2>
          {list && list.length > 8 && <a href="#/threads">All threads</a>}
        </div>
        {threads.state.value.refused && (
          <RefusalNote explained={threads.state.value.refused} onAgain={() => void loadThreads()} />
        )}
        {list?.length === 0 && (
          <p class="dim">
            No threads yet. A thread is a conversation with its own workspace. Its files are kept, so the next run can continue with them.
          </p>
        )}
        {list && list.length > 0 && <ThreadList threads={list.slice(0, 8)} />}
      </section>
    </div>
  );
}

function PlanLine() {
  const state = account.value;
  if (!state) {
    const refused = account.state.value.refused;
    // The placeholder keeps the content below in place while the account is loading.
    return refused ? <RefusalNote explained={refused} onAgain={() => void loadAccount()} /> : <div class="plan-line plan-line-waiting" aria-hidden="true" />;
  }
  if (isUnlimited(state)) return null;
  return (
    <section class="plan-line" aria-label="Your plan">
      <a class="plan-name" href="#/account">
        <span class="small dim">Plan</span>
        <strong>{state.tierName}</strong>
      </a>
      <div class="plan-credits">
        <span class="small dim">Credits</span>
        <strong class="numbers">{credits(state.credits)}</strong>
      </div>
      {state.concurrentRuns && <Meter label="Concurrent runs" used={state.concurrentRuns.used} limit={state.concurrentRuns.limit ?? null} />}
      {state.threads && <Meter label="Threads" used={state.threads.used} limit={state.threads.limit ?? null} />}
    </section>
  );
}
