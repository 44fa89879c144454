// The agent screen: settings and versions.
import { Play, Trash2 } from "lucide";
import { useSignal } from "@preact/signals";
import type { Agent } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { AgentForm } from "../parts/agent_form";
import { AgentIcon } from "../parts/agent_icon";
import { Confirm, RefusalNote, Spinner } from "../parts/basic";
import { Icon } from "../parts/icon";
import { VersionHistory } from "../parts/versions";
import { go } from "../router";
import { loadAccount } from "../stores/account";
import { loadAgents } from "../stores/agents";
import { announce } from "../stores/announce";
import { Loadable } from "../stores/loaded";
import { explainError } from "../errors";
import { counted } from "../view/format";
import type { Explained } from "../view/refusal";

const shown = new Loadable<Agent>();

/** If `agentId` is null, the screen shows the form for a new agent. */
export function AgentScreen({ agentId, tab }: { agentId: string | null; tab: "settings" | "versions" }) {
  const refused = useSignal<Explained | null>(null);
  const deleting = useSignal(false);
  useEffect(() => {
    shown.clear();
    if (agentId) void shown.load(() => runyard().agents.get(agentId));
  }, [agentId]);
  const { value, refused: notLoaded } = shown.state.value;
  const agent = value?.agentId === agentId ? value : null;
  useEffect(() => {
    document.title = `${agent?.name ?? (agentId ? "Agent" : "New agent")} · Runyard`;
  }, [agent?.name]);
  const changed = (next: Agent) => {
    shown.set(next);
    void loadAgents();
    void loadAccount();
  };
  if (!agentId) {
    return (
      <div class="page">
        <h1>New agent</h1>
        <AgentForm
          agent={null}
          onSaved={(created) => {
            changed(created);
            announce(`Created ${created.name}`);
            go(`/agents/${created.agentId}`);
          }}
        />
      </div>
    );
  }
  if (!agent) {
    return (
      <div class="page">
        <h1 class="unseen">Agent</h1>
        {notLoaded ? (
          <RefusalNote explained={notLoaded} onAgain={() => void shown.load(() => runyard().agents.get(agentId))} />
        ) : (
          <Spinner label="Loading the agent" />
        )}
      </div>
    );
  }
  return (
    <div class="page">
      <div class="page-head">
        <AgentIcon name={agent.iconName} color={agent.iconColor} background={agent.iconBackground} size={48} />
        <div>
          <h1>{agent.name}</h1>
          <p class="small dim numbers">
            {agent.currentVersion?.versionName} · {agent.currentVersion?.model} · {counted(agent.versionCount, "version")}
            {agent.isDefault && " · default agent"}
          </p>
        </div>
        <a class="button button-primary" href={agent.isDefault ? "#/" : `#/?agent=${agentId}`}>
          <Icon of={Play} size={15} />
          Start a run
        </a>
        <button type="button" class="button button-quiet agent-delete" disabled={agent.isDefault} title={agent.isDefault ? "To delete this agent, make another agent the default first" : ""} onClick={() => (deleting.value = true)}>
          <Icon of={Trash2} size={16} />
          Delete
        </button>
      </div>
      {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
      <nav class="subnav" aria-label="Agent sections">
        <a href={`#/agents/${agentId}`} aria-current={tab === "settings" ? "page" : undefined}>
          Settings
        </a>
        <a href={`#/agents/${agentId}/versions`} aria-current={tab === "versions" ? "page" : undefined}>
          Versions <span class="badge">{agent.versionCount}</span>
        </a>
      </nav>
      {tab === "settings" ? (
        <AgentForm
          key={agent.agentId}
          agent={agent}
          onSaved={(next) => {
            const isNew = next.currentVersionId !== agent.currentVersionId;
            changed(next);
            announce(isNew ? `Saved as ${next.currentVersion?.versionName}` : "Saved");
          }}
        />
      ) : (
        <VersionHistory agent={agent} onChanged={changed} />
      )}
      {deleting.value && (
        <Confirm
          title={`Delete ${agent.name}?`}
          action="Delete"
          onClose={() => (deleting.value = false)}
          onConfirm={async () => {
            try {
              await runyard().agents.delete(agentId);
              announce(`Deleted ${agent.name}`);
              void loadAgents();
              void loadAccount();
              go("/agents");
            } catch (error) {
              refused.value = explainError(error);
            }
          }}
        >
          <p>This permanently deletes the agent and its versions. Its runs and threads stay readable.</p>
        </Confirm>
      )}
    </div>
  );
}
