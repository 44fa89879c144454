// The page "Waiting for you": all inputs that the account's runs wait for.
import { ArrowUpRight } from "lucide";
import { useEffect, useRef } from "preact/hooks";
import { Empty, RefusalNote, Spinner } from "../parts/basic";
import { Icon } from "../parts/icon";
import { InputCard } from "../parts/input";
import { loadPending, pending } from "../stores/inputs";
import { useNow } from "../stores/clock";
import { loadThreads, threads } from "../stores/threads";
import { ago } from "../view/format";
import { ofRecord } from "../view/input";

export function Waiting() {
  const now = useNow();
  useEffect(() => {
    document.title = "Waiting for you · Runyard";
    void loadPending();
    void loadThreads();
  }, []);
  const { value, refused, loading } = pending.state.value;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // An answered input disappears with its controls. Without this, the focus would start again at the top of the page.
    if (document.activeElement === document.body) heading.current?.focus();
  }, [value?.length]);
  return (
    <div class="page">
      <div class="page-head">
        <h1 ref={heading} tabIndex={-1}>
          Waiting for you
        </h1>
      </div>
      {refused && <RefusalNote explained={refused} onAgain={() => void loadPending()} />}
      {!value && loading && <Spinner label="Loading" />}
      {value?.length === 0 && (
        <Empty title="Nothing waits for you">
          <p>If a run needs your approval, an answer or a result, it waits, and you find it here.</p>
        </Empty>
      )}
      {value && value.length > 0 && (
        <ul class="waiting-list" aria-label="Pending inputs, oldest first">
          {value.map((each) => {
            const input = ofRecord(each);
            const name = threads.value?.find((thread) => thread.threadId === each.threadId)?.name || "Thread";
            return (
              input && (
                <li key={each.inputId}>
                  <article class="waiting-card" aria-label={`${name}, ${each.name}`}>
                    <header>
                      <h2>
                        <a href={`#/threads/${each.threadId}`}>
                          {name}
                          <Icon of={ArrowUpRight} size={15} />
                        </a>
                      </h2>
                      <code class="small dim">{each.name}</code>
                      {each.createdAt && (
                        <time class="small dim numbers" dateTime={each.createdAt.toISOString()}>
                          {ago(each.createdAt, now)}
                        </time>
                      )}
                    </header>
                    <InputCard input={input} ended={false} args={input.args} withCall />
                  </article>
                </li>
              )
            );
          })}
        </ul>
      )}
    </div>
  );
}
