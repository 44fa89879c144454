// The command palette, which finds pages, threads and agents.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { go } from "../router";
import { administrator } from "../stores/administration";
import { agents, loadAgents } from "../stores/agents";
import { threads } from "../stores/threads";
import { Dialog } from "./basic";

interface Target {
  label: string;
  kind: string;
  to: string;
}

const PAGES: Target[] = [
  { label: "New run", kind: "Page", to: "/" },
  { label: "Threads", kind: "Page", to: "/threads" },
  { label: "Runs", kind: "Page", to: "/runs" },
  { label: "Waiting for you", kind: "Page", to: "/waiting" },
  { label: "Agents", kind: "Page", to: "/agents" },
  { label: "New agent", kind: "Page", to: "/agents/new" },
  { label: "Skills", kind: "Page", to: "/skills" },
  { label: "Memory", kind: "Page", to: "/memory" },
  { label: "Schedules", kind: "Page", to: "/schedules" },
  { label: "Webhooks", kind: "Page", to: "/webhooks" },
  { label: "Usage", kind: "Page", to: "/usage" },
  { label: "Account", kind: "Page", to: "/account" },
];

// Preact's types do not allow the role `combobox` on an input.
const COMBOBOX = { role: "combobox" } as object;

const MAX_RESULTS = 12;

export function Palette({ onClose }: { onClose: () => void }) {
  const text = useSignal("");
  const at = useSignal(0);
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => void loadAgents(), []);
  const query = text.value.trim().toLowerCase();
  const found = [
    ...PAGES,
    ...(administrator.value === true ? [{ label: "Administration", kind: "Page", to: "/administration" }] : []),
    ...(threads.value ?? []).map((thread) => ({ label: thread.name || "Untitled", kind: "Thread", to: `/threads/${thread.threadId}` })),
    ...(agents.value ?? []).map((agent) => ({ label: agent.name, kind: "Agent", to: `/agents/${agent.agentId}` })),
  ]
    .filter((target) => target.label.toLowerCase().includes(query))
    .slice(0, MAX_RESULTS);
  const chosen = Math.min(at.value, found.length - 1);
  const open = (target: Target | undefined) => {
    if (!target) return;
    onClose();
    go(target.to);
  };
  return (
    <Dialog title="Go to" onClose={onClose}>
      <input
        class="palette-words"
        type="search"
        {...COMBOBOX}
        aria-label="Page, thread or agent"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found[chosen] ? `palette-${chosen}` : undefined}
        placeholder="Page, thread or agent"
        autofocus
        value={text.value}
        onInput={(event) => {
          text.value = event.currentTarget.value;
          at.value = 0;
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") at.value = Math.min(chosen + 1, found.length - 1);
          else if (event.key === "ArrowUp") at.value = Math.max(chosen - 1, 0);
          else if (event.key === "Enter") open(found[chosen]);
          else return;
          event.preventDefault();
        }}
      />
      <ul id="palette-list" ref={list} class="palette-list" role="listbox" aria-label="Results">
        {found.map((target, place) => (
          <li
            key={target.to}
            id={`palette-${place}`}
            role="option"
            aria-selected={place === chosen}
            onMouseMove={() => (at.value = place)}
            onClick={() => open(target)}
          >
            <span>{target.label}</span>
            <span class="small dim">{target.kind}</span>
          </li>
        ))}
        {found.length === 0 && <li class="dim palette-none">No results.</li>}
      </ul>
      <p class="small dim palette-keys">
        Press <kbd>g</kbd>, then <kbd>h</kbd> for home, <kbd>t</kbd> for threads, <kbd>r</kbd> for runs, <kbd>w</kbd> for pending inputs,{" "}
        <kbd>a</kbd> for agents, <kbd>s</kbd> for skills, <kbd>m</kbd> for memory, <kbd>d</kbd> for schedules, <kbd>k</kbd> for webhooks,{" "}
        <kbd>u</kbd> for usage or <kbd>c</kbd> for your account. Press <kbd>/</kbd> to describe a task.
      </p>
    </Dialog>
  );
}
