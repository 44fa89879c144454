// The menus of the composer: agent, model and mode.
import { useEffect } from "preact/hooks";
import { account } from "../stores/account";
import { agents } from "../stores/agents";
import { loadModes, modes } from "../stores/modes";

export function AgentChoice({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const list = agents.value ?? [];
  const defaultAgent = list.find((agent) => agent.isDefault);
  const shown = list.some((agent) => agent.agentId === value && agent !== defaultAgent) ? value : "";
  return (
    <label class="choice">
      <span class="unseen">Agent</span>
      <select value={shown} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="">{defaultAgent ? `${defaultAgent.name} (default)` : "Built-in agent"}</option>
        {list
          .filter((agent) => agent !== defaultAgent)
          .map((agent) => (
            <option key={agent.agentId} value={agent.agentId}>
              {agent.name}
            </option>
          ))}
      </select>
    </label>
  );
}

export function ModeChoice({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  useEffect(() => void loadModes(), []);
  // Every server has the mode "code", so the menu offers it until the modes are loaded.
  const list = modes.value ?? [{ name: "code", description: "" }];
  return (
    <label class="choice" title={list.find((mode) => mode.name === value)?.description}>
      <span class="unseen">Mode</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {list.map((mode) => (
          <option key={mode.name} value={mode.name} title={mode.description}>
            Mode: {mode.name}
          </option>
        ))}
      </select>
    </label>
  );
}

export function ModelChoice({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const models = account.value?.models ?? [];
  return (
    <label class="choice">
      <span class="unseen">Model</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="">Agent's model</option>
        {models.map((model) => (
          <option key={model.modelName} value={model.modelName} disabled={!model.allowed && !model.downgradedTo}>
            {model.modelName}
            {!model.allowed && (model.downgradedTo ? ` (your plan uses ${model.downgradedTo})` : " (not in your plan)")}
          </option>
        ))}
      </select>
    </label>
  );
}
