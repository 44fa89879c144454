// The list of the account's agents.
import { Plus, Star } from "lucide";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { AgentIcon } from "../parts/agent_icon";
import { Empty, Meter, RefusalNote, Spinner } from "../parts/basic";
import { Icon } from "../parts/icon";
import { account, loadAccount } from "../stores/account";
import { agents, loadAgents } from "../stores/agents";
import { counted } from "../view/format";

export function Agents() {
  const query = useSignal("");
  useEffect(() => {
    document.title = "Agents · Runyard";
    void loadAgents();
    void loadAccount();
  }, []);
  const { value, refused, loading } = agents.state.value;
  const limit = account.value?.agents;
  const needle = query.value.trim().toLowerCase();
  const shown = (value ?? []).filter((agent) => [agent.name, agent.description ?? "", ...agent.tags].some((text) => text.toLowerCase().includes(needle)));
  return (
    <div class="page page-wide">
      <div class="page-head">
        <h1>Agents</h1>
        {limit && (
          <div class="board-slots">
            <Meter label="Agents" used={limit.used} limit={limit.limit ?? null} />
          </div>
        )}
        <a class="button button-primary push" href="#/agents/new">
          <Icon of={Plus} size={17} />
          New agent
        </a>
      </div>
      {value && value.length > 3 && (
        <input
          type="search"
          class="search"
          aria-label="Find an agent"
          placeholder="Name, description or tag"
          value={query.value}
          onInput={(event) => (query.value = event.currentTarget.value)}
        />
      )}
      {refused && <RefusalNote explained={refused} onAgain={() => void loadAgents()} />}
      {!value && loading && <Spinner label="Loading agents" />}
      {value?.length === 0 && (
        <Empty title="No agents yet">
          <p>
            Runs use the built-in agent until you create one. Each agent has its own prompt, model and tools. Changing them creates a
            new version that you can compare and restore.
          </p>
          <a class="button button-primary" href="#/agents/new">
            Create an agent
          </a>
        </Empty>
      )}
      {value && value.length > 0 && shown.length === 0 && <p class="dim">No matching agents.</p>}
      <ul class="agent-grid">
        {shown.map((agent) => (
          <li key={agent.agentId}>
            <a class="agent-card" href={`#/agents/${agent.agentId}`}>
              <AgentIcon name={agent.iconName} color={agent.iconColor} background={agent.iconBackground} size={44} />
              <div class="agent-card-text">
                <h2>{agent.name}</h2>
                <p class="dim">{agent.description || "No description"}</p>
                <p class="small agent-card-details">
                  {agent.isDefault && (
                    <span class="tag tag-default">
                      <Icon of={Star} size={12} />
                      Default
                    </span>
                  )}
                  <span class="dim numbers">
                    {agent.currentVersion?.model} · {counted(agent.versionCount, "version")}
                  </span>
                  {agent.tags.map((tag) => (
                    <span key={tag} class="tag">
                      {tag}
                    </span>
                  ))}
                </p>
              </div>
            </a>
          </li>
        ))}
      </ul>
    </div>
  );
}
