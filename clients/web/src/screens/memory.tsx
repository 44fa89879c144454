// The memory screen: the facts that agents keep across threads.
import { Pencil, Plus, Trash2 } from "lucide";
import { useSignal } from "@preact/signals";
import type { Memory } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { explainError } from "../errors";
import { Confirm, Empty, Field, RefusalNote, Spinner } from "../parts/basic";
import { EditorDialog, LinesField } from "../parts/editor";
import { Icon } from "../parts/icon";
import { agents, loadAgents } from "../stores/agents";
import { announce } from "../stores/announce";
import { loadMemories, loadMoreMemories, memories, moreMemories } from "../stores/memories";
import { day, excerpt } from "../view/format";
import type { Explained } from "../view/refusal";

/** Milliseconds without input after which a search starts. */
const SEARCH_DELAY_MS = 250;

export function MemoryScreen() {
  const holder = useSignal("");
  const search = useSignal("");
  const editing = useSignal<Memory | "new" | null>(null);
  const deleting = useSignal<Memory | null>(null);
  const refused = useSignal<Explained | null>(null);
  const filter = { holder: holder.value, search: search.value.trim() };
  useEffect(() => {
    document.title = "Memory · Runyard";
    void loadAgents();
  }, []);
  useEffect(() => {
    const timer = setTimeout(() => void loadMemories(filter), filter.search === "" ? 0 : SEARCH_DELAY_MS);
    return () => clearTimeout(timer);
  }, [filter.holder, filter.search]);
  const { value, refused: notLoaded, loading } = memories.state.value;
  const shownError = refused.value ?? notLoaded;
  const isFiltered = filter.holder !== "" || filter.search !== "";
  return (
    <div class="page">
      <div class="page-head">
        <h1>Memory</h1>
        <button type="button" class="button button-primary push" onClick={() => (editing.value = "new")}>
          <Icon of={Plus} size={17} />
          New memory
        </button>
      </div>
      <p class="dim">Facts that agents remember from earlier conversations. Runs with memory read and change them.</p>
      <div class="memory-filter" role="group" aria-label="Filter memories">
        <input
          type="search"
          aria-label="Search memories"
          placeholder="Search"
          value={search.value}
          onInput={(event) => (search.value = event.currentTarget.value)}
        />
        <HolderChoice all value={holder.value} onChange={(next) => (holder.value = next)} />
      </div>
      {shownError && <RefusalNote explained={shownError} onClose={() => (refused.value = null)} onAgain={() => void loadMemories(filter)} />}
      {!value && loading && <Spinner label="Loading memories" />}
      {value?.length === 0 &&
        !loading &&
        (isFiltered ? (
          <p class="dim">No matching memories.</p>
        ) : (
          <Empty title="No memories yet">
            <p>An agent remembers facts if you turn on memory in its settings.</p>
          </Empty>
        ))}
      <ul class="keys" aria-label="Memories">
        {value?.map((memory) => (
          <li key={memory.memoryId} class="key memory">
            <div>
              <p class="memory-text">{memory.text}</p>
              <p class="small dim">
                {nameOf(memory)}
                {memory.updatedAt && ` · changed ${day(memory.updatedAt)}`}
                {memory.agentRunId ? " · written by a run" : ""}
              </p>
            </div>
            <div class="memory-actions push">
              <button type="button" class="button-icon" aria-label={`Edit ${excerpt(memory.text, 40)}`} title="Edit" onClick={() => (editing.value = memory)}>
                <Icon of={Pencil} size={16} />
              </button>
              <button type="button" class="button-icon" aria-label={`Delete ${excerpt(memory.text, 40)}`} title="Delete" onClick={() => (deleting.value = memory)}>
                <Icon of={Trash2} size={16} />
              </button>
            </div>
          </li>
        ))}
      </ul>
      {moreMemories.value !== "" && (
        <button type="button" class="button" disabled={loading} onClick={() => void loadMoreMemories(filter)}>
          {loading ? "Loading" : "Show more"}
        </button>
      )}
      {editing.value && (
        <Editor
          memory={editing.value === "new" ? null : editing.value}
          onClose={() => (editing.value = null)}
          onSaved={() => {
            editing.value = null;
            announce("Memory saved");
            void loadMemories(filter);
          }}
        />
      )}
      {deleting.value && (
        <Confirm
          title="Delete this memory?"
          action="Delete"
          onClose={() => (deleting.value = null)}
          onConfirm={async () => {
            const memory = deleting.peek()!;
            try {
              await runyard().memories.delete(memory.memoryId);
              announce("Memory deleted");
              await loadMemories(filter);
            } catch (error) {
              refused.value = explainError(error);
            }
          }}
        >
          <p>{excerpt(deleting.value.text, 200)}</p>
          <p>Agents no longer remember this fact. Threads in which it was mentioned stay unchanged.</p>
        </Confirm>
      )}
    </div>
  );
}

/** `all` adds the choice "All memories". */
function HolderChoice({ all = false, id, value, onChange }: { all?: boolean; id?: string; value: string; onChange: (holder: string) => void }) {
  return (
    <select {...(id ? { id } : { "aria-label": "Memories of" })} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
      {all && <option value="">All memories</option>}
      <option value="account">The account</option>
      {agents.value?.map((agent) => (
        <option key={agent.agentId} value={agent.agentId}>
          {agent.name}
        </option>
      ))}
    </select>
  );
}

function Editor({ memory, onClose, onSaved }: { memory: Memory | null; onClose: () => void; onSaved: () => void }) {
  const text = useSignal(memory?.text ?? "");
  const holder = useSignal("account");
  const save = async () => {
    if (memory) await runyard().memories.update(memory.memoryId, { text: text.value });
    else await runyard().memories.create({ text: text.value, agentId: holder.value === "account" ? "" : holder.value });
    onSaved();
  };
  return (
    <EditorDialog title={memory ? "Edit memory" : "New memory"} action={memory ? "Save" : "Create memory"} onSave={save} onClose={onClose}>
      <LinesField label="Text" hint="One short fact." text={text} />
      {!memory && (
        <Field label="Remembered by" hint="All agents that use the account's memories share these.">
          <HolderChoice value={holder.value} onChange={(next) => (holder.value = next)} />
        </Field>
      )}
    </EditorDialog>
  );
}

function nameOf(memory: Memory): string {
  if (!memory.agentId) return "The account";
  return agents.value?.find((agent) => agent.agentId === memory.agentId)?.name ?? "An agent";
}
