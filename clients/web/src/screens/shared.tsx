// The page of a share: a thread to read, for everybody who has its link. It needs no sign-in.
import { FileText, Link2Off } from "lucide";
import { useSignal } from "@preact/signals";
import { type SharedMessage, type SharedThread, isRunyardError } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { explainError } from "../errors";
import { RefusalNote, Spinner } from "../parts/basic";
import { Brand } from "../parts/brand";
import { Icon } from "../parts/icon";
import { Markdown } from "../parts/markdown";
import { reader } from "../stores/shares";
import { day, dayAndTime } from "../view/format";
import type { Explained } from "../view/refusal";
import { withoutRepeated } from "../view/shared";

const PAGE_SIZE = 100;

interface Shown {
  thread: SharedThread;
  messages: readonly SharedMessage[];
  /** Requests the next page; empty on the last page. */
  next: string;
}

export function SharedScreen({ token }: { token: string }) {
  const shown = useSignal<Shown | null>(null);
  const gone = useSignal(false);
  const refused = useSignal<Explained | null>(null);
  const loading = useSignal(false);
  const load = async () => {
    const before = shown.peek();
    loading.value = true;
    refused.value = null;
    try {
      const { shares } = reader();
      const thread = before?.thread ?? (await shares.getThread(token));
      let messages = before?.messages ?? [];
      let next = before?.next ?? "";
      const enough = messages.length + PAGE_SIZE;
      // A page with many private messages contains few or none, so several pages can be needed.
      do {
        const page = await shares.listMessages(token, { pageSize: PAGE_SIZE, pageToken: next });
        messages = [...messages, ...page.items];
        next = page.nextPageToken;
      } while (next !== "" && messages.length < enough);
      shown.value = { thread, messages, next };
    } catch (error) {
      if (isRunyardError(error) && error.errorCode === "SHARE_NOT_FOUND") gone.value = true;
      else refused.value = explainError(error);
    } finally {
      loading.value = false;
    }
  };
  useEffect(() => void load(), []);
  const name = gone.value ? "This link does not work" : (shown.value?.thread.name ?? "");
  useEffect(() => {
    document.title = `${name || "Shared thread"} · Runyard`;
  }, [name]);
  return (
    <div class="shared">
      <header class="shared-head">
        <a href="#/" aria-label="Runyard">
          <Brand />
        </a>
        <span class="small dim push">Shared from Runyard</span>
      </header>
      <main id="main" class="page">
        {gone.value ? <Gone /> : shown.value ? <Transcript shown={shown.value} /> : !refused.value && <Spinner label="Loading the thread" />}
        {refused.value && <RefusalNote explained={refused.value} onAgain={() => void load()} />}
        {!gone.value && shown.value?.next && (
          <button type="button" class="button" disabled={loading.value} onClick={() => void load()}>
            {loading.value ? "Loading" : "Show later messages"}
          </button>
        )}
      </main>
    </div>
  );
}

function Gone() {
  return (
    <div class="empty">
      <Icon of={Link2Off} size={28} />
      <h1>This link does not work</h1>
      <p>It may be incomplete, have expired or have been revoked. Ask the person who sent it for a new one.</p>
    </div>
  );
}

function Transcript({ shown: { thread, messages } }: { shown: Shown }) {
  const all = withoutRepeated(messages);
  return (
    <>
      <div class="shared-title">
        <h1>{thread.name || "Thread"}</h1>
        <p class="small dim">
          {thread.createdAt && `Started ${day(thread.createdAt)}`}
          {thread.updatedAt && ` · last active ${day(thread.updatedAt)}`}
        </p>
      </div>
      {all.length === 0 && <p class="dim">This thread has no messages yet.</p>}
      <div class="shared-messages" role="region" aria-label="Transcript">
        {all.map((message, at) => (
          <Message key={at} message={message} isNewAuthor={all[at - 1]?.role !== message.role} />
        ))}
      </div>
      <p class="small dim">The files of this thread are not shared, only their names.</p>
    </>
  );
}

function Message({ message, isNewAuthor }: { message: SharedMessage; isNewAuthor: boolean }) {
  const isPrompt = message.role === "user";
  return (
    <article class={isPrompt ? "prompt" : "shared-answer"} aria-label={isPrompt ? "Prompt" : "Answer"}>
      {(isPrompt || isNewAuthor) && (
        <div class="prompt-head small">
          <span>{isPrompt ? "Prompt" : "Agent"}</span>
          {message.createdAt && <time class="dim push">{dayAndTime(message.createdAt)}</time>}
        </div>
      )}
      {isPrompt ? <p class="prompt-text">{message.content}</p> : <Markdown text={message.content} />}
      {message.partial && <p class="small bad">The answer was cut off here.</p>}
      {message.files.length > 0 && (
        <ul class="prompt-files" aria-label="Attached files">
          {message.files.map((name, at) => (
            <li key={at} class="shared-file small">
              <Icon of={FileText} size={14} />
              {name}
            </li>
          ))}
        </ul>
      )}
    </article>
  );
}
