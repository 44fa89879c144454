// The form for an agent's settings.
import { useSignal } from "@preact/signals";
import type { Agent, AgentTool, AgentTools } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { account, loadAccount } from "../stores/account";
import { explainError } from "../errors";
import type { Explained } from "../view/refusal";
import { type Approvals, ApprovalEditor } from "./approval_editor";
import { Field, Note, RefusalNote } from "./basic";
import { IconPicker } from "./icon_picker";
import { type AgentSkill, SkillChoice } from "./skill_choice";
import { McpEditor, type McpServer, blankServer } from "./mcp_editor";

interface Draft {
  name: string;
  description: string;
  iconName: string;
  iconColor: string;
  iconBackground: string;
  systemPrompt: string;
  model: string;
  tags: string;
  isDefault: boolean;
  isPublic: boolean;
  configuredMcps: McpServer[];
  customMcps: McpServer[];
  tools: Record<string, { enabled: boolean }>;
  skills: AgentSkill[];
  memory: { enabled: boolean; scope: "agent" | "account" };
  approvals: Approvals;
}

/** If `agent` is null, the form creates an agent. */
export function AgentForm({ agent, onSaved }: { agent: Agent | null; onSaved: (agent: Agent) => void }) {
  const draft = useSignal(draftOf(agent));
  const before = useSignal(draft.value);
  const tools = useSignal<readonly AgentTool[]>(CORE);
  const unavailable = useSignal<AgentTools["unavailableMcpServers"]>([]);
  const saving = useSignal(false);
  const saved = useSignal<string | null>(null);
  const refused = useSignal<Explained | null>(null);
  useEffect(() => {
    void loadAccount();
    if (agent) {
      runyard()
        .agents.listTools(agent.agentId)
        .then(
          (list) => {
            tools.value = list.tools;
            unavailable.value = list.unavailableMcpServers;
          },
          (error) => (refused.value = explainError(error)),
        );
    }
  }, [agent?.currentVersionId]);
  const set = (change: Partial<Draft>) => {
    draft.value = { ...draft.value, ...change };
    saved.value = null;
  };
  const now = draft.value;
  const changes = changesOf(before.value, now);
  const versioned = ["systemPrompt", "model", "configuredMcps", "customMcps", "agentpressTools", "skills", "memory", "approvals"];
  const makesVersion = versioned.some((key) => key in changes);
  const save = async () => {
    saving.value = true;
    refused.value = null;
    try {
      const client = runyard();
      const next = agent
        ? await client.agents.update(agent.agentId, { ...changes, expectedVersionId: agent.currentVersionId })
        : await client.agents.create(newAgent(now));
      draft.value = draftOf(next);
      before.value = draft.value;
      saved.value = agent && next.currentVersionId !== agent.currentVersionId ? `Saved as ${next.currentVersion?.versionName}.` : "Saved.";
      onSaved(next);
    } catch (error) {
      refused.value = explainError(error);
    } finally {
      saving.value = false;
    }
  };
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <fieldset>
        <legend>Identity</legend>
        <div class="form-row">
          <IconPicker
            agentName={now.name}
            icon={{ name: now.iconName, color: now.iconColor, background: now.iconBackground }}
            onChange={(icon) => set({ iconName: icon.name, iconColor: icon.color, iconBackground: icon.background })}
          />
          <Field label="Name" wide>
            <input required minLength={2} maxLength={100} value={now.name} onInput={(event) => set({ name: event.currentTarget.value })} />
          </Field>
        </div>
        <Field label="Description" hint="The purpose of the agent.">
          <input maxLength={2000} value={now.description} onInput={(event) => set({ description: event.currentTarget.value })} />
        </Field>
        <Field label="Tags" hint="Separated by commas.">
          <input value={now.tags} onInput={(event) => set({ tags: event.currentTarget.value })} />
        </Field>
        <div class="checks">
          <label class="check">
            <input type="checkbox" checked={now.isDefault} disabled={agent?.isDefault} onChange={(event) => set({ isDefault: event.currentTarget.checked })} />
            <span>
              Default agent <span class="small dim">used when a run does not select an agent</span>
            </span>
          </label>
          <label class="check">
            <input type="checkbox" checked={now.isPublic} onChange={(event) => set({ isPublic: event.currentTarget.checked })} />
            <span>
              Public <span class="small dim">only a label; does not share the agent</span>
            </span>
          </label>
        </div>
      </fieldset>
      <fieldset>
        <legend>Prompt and model</legend>
        <Field label="System prompt" hint={agent ? undefined : "Leave empty to use the built-in prompt."}>
          <textarea class="code" rows={10} maxLength={100_000} value={now.systemPrompt} onInput={(event) => set({ systemPrompt: event.currentTarget.value })} />
        </Field>
        <Field label="Model">
          <select value={now.model} onChange={(event) => set({ model: event.currentTarget.value })}>
            {!agent && <option value="">Default model of your plan</option>}
            {now.model && !account.value?.models.some((model) => model.modelName === now.model) && <option value={now.model}>{now.model}</option>}
            {account.value?.models.map((model) => (
              <option key={model.modelName} value={model.modelName}>
                {model.modelName}
                {!model.allowed && (model.downgradedTo ? ` (your plan uses ${model.downgradedTo})` : " (not in your plan)")}
              </option>
            ))}
          </select>
        </Field>
      </fieldset>
      <fieldset>
        <legend>Tools</legend>
        <p class="small dim">The core tools run in the sandbox and are always enabled.</p>
        <ul class="tool-list">
          {tools.value.filter((tool) => tool.server === "" && !OF_MEMORY.has(tool.name)).map((tool) => (
            <li key={tool.name}>
              <label class="check">
                <input
                  type="checkbox"
                  role="switch"
                  disabled={tool.isCore}
                  checked={tool.isCore || isOn(now, tool)}
                  onChange={(event) => set({ tools: { ...now.tools, [groupOf(tool)]: { enabled: event.currentTarget.checked } } })}
                />
                <span>
                  <code>{tool.name}</code> <span class="small dim tool-about">{tool.description}</span>
                </span>
              </label>
            </li>
          ))}
        </ul>
      </fieldset>
      <fieldset>
        <legend>Approvals</legend>
        <p class="small dim">
          Rules about tool calls. The first rule that matches a call decides about it. A call without a matching rule runs at once.
        </p>
        <ApprovalEditor approvals={now.approvals} tools={tools.value} onChange={(approvals) => set({ approvals })} />
      </fieldset>
      <fieldset>
        <legend>Skills</legend>
        <p class="small dim">Instructions that the agent loads when a task needs them.</p>
        <SkillChoice chosen={now.skills} onChange={(skills) => set({ skills })} />
      </fieldset>
      <fieldset>
        <legend>Memory</legend>
        <label class="check">
          <input type="checkbox" checked={now.memory.enabled} onChange={(event) => set({ memory: { ...now.memory, enabled: event.currentTarget.checked } })} />
          <span>
            Remember facts across threads <span class="small dim">a run can override this setting</span>
          </span>
        </label>
        <Field label="Memories" hint="The memories that runs of this agent use.">
          <select value={now.memory.scope} onChange={(event) => set({ memory: { ...now.memory, scope: event.currentTarget.value as Draft["memory"]["scope"] } })}>
            <option value="agent">Only those of this agent</option>
            <option value="account">Those of the account, shared with other agents</option>
          </select>
        </Field>
      </fieldset>
      <fieldset>
        <legend>MCP servers</legend>
        <p class="small dim">
          Servers that offer more tools over the Model Context Protocol (MCP). Each run connects to the servers of its agent version and
          offers their tools to the model.
        </p>
        <McpEditor label="Integrations" agentId={agent?.agentId} servers={now.configuredMcps} onChange={(configuredMcps) => set({ configuredMcps })} onAdd={blankServer} />
        <McpEditor label="Custom servers" agentId={agent?.agentId} servers={now.customMcps} onChange={(customMcps) => set({ customMcps })} onAdd={blankServer} />
        {unavailable.value.map((server) => (
          <p key={server.name} class="small bad">
            The tools of {server.name} are missing: {server.reason}.
          </p>
        ))}
        {tools.value.some((tool) => tool.server !== "") && (
          <>
            <p class="small dim">MCP tools of the saved version:</p>
            <ul class="tool-list">
              {tools.value.filter((tool) => tool.server !== "").map((tool) => (
                <li key={tool.name}>
                  <code>{tool.name}</code>{" "}
                  <span class="small dim tool-about">
                    {tool.server}: {tool.description}
                  </span>
                </li>
              ))}
            </ul>
          </>
        )}
      </fieldset>
      {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
      <div class="form-foot">
        {saved.value && <Note kind="good">{saved.value}</Note>}
        {agent && makesVersion && <span class="small dim">Saving creates a new version.</span>}
        <button type="submit" class="button button-primary push" disabled={saving.value || (agent !== null && Object.keys(changes).length === 0)}>
          {saving.value ? "Saving" : agent ? "Save changes" : "Create agent"}
        </button>
      </div>
    </form>
  );
}

function draftOf(agent: Agent | null): Draft {
  const version = agent?.currentVersion;
  return {
    name: agent?.name ?? "",
    description: agent?.description ?? "",
    iconName: agent?.iconName ?? "bot",
    iconColor: agent?.iconColor ?? "#0F766E",
    iconBackground: agent?.iconBackground ?? "#F0FDFA",
    systemPrompt: version?.systemPrompt ?? "",
    model: version?.model ?? "",
    tags: (agent?.tags ?? []).join(", "),
    isDefault: agent?.isDefault ?? false,
    isPublic: agent?.isPublic ?? false,
    configuredMcps: version?.configuredMcps ?? [],
    customMcps: version?.customMcps ?? [],
    tools: version?.agentpressTools ?? {},
    skills: version?.skills ?? [],
    memory: { enabled: version?.memory?.enabled ?? false, scope: version?.memory?.scope === "account" ? "account" : "agent" },
    approvals: version?.approvals ?? { rules: [], failOnExpiry: false },
  };
}

// Maps a tool to the name of its setting, if the two names differ.
const GROUPS: Record<string, string> = { skill: "skills" };

function groupOf(tool: AgentTool): string {
  return GROUPS[tool.name] ?? tool.name;
}

/** Tools that are off without a setting. */
const OFF = new Set(["ask_user", "task"]);

function isOn(draft: Draft, tool: AgentTool): boolean {
  return draft.tools[groupOf(tool)]?.enabled ?? !OFF.has(groupOf(tool));
}

function tagsOf(text: string): string[] {
  return [...new Set(text.split(",").map((tag) => tag.trim()).filter(Boolean))];
}

function newAgent(draft: Draft) {
  return {
    name: draft.name,
    isDefault: draft.isDefault,
    isPublic: draft.isPublic,
    iconName: draft.iconName,
    iconColor: draft.iconColor,
    iconBackground: draft.iconBackground,
    tags: tagsOf(draft.tags),
    configuredMcps: draft.configuredMcps,
    customMcps: draft.customMcps,
    skills: draft.skills,
    memory: draft.memory,
    approvals: draft.approvals,
    ...(Object.keys(draft.tools).length > 0 ? { agentpressTools: draft.tools } : {}),
    ...(draft.description ? { description: draft.description } : {}),
    ...(draft.systemPrompt.trim() ? { systemPrompt: draft.systemPrompt } : {}),
    ...(draft.model ? { model: draft.model } : {}),
  };
}

// Returns only the fields that the user changed, so that saving does not overwrite other concurrent changes.
function changesOf(before: Draft, now: Draft): Record<string, unknown> {
  const changes: Record<string, unknown> = {};
  const differs = (left: unknown, right: unknown) => JSON.stringify(left) !== JSON.stringify(right);
  for (const key of ["name", "description", "iconName", "iconColor", "iconBackground", "systemPrompt", "model", "isDefault", "isPublic", "configuredMcps", "customMcps", "skills"] as const) {
    if (differs(before[key], now[key])) changes[key] = now[key];
  }
  if (differs(tagsOf(before.tags), tagsOf(now.tags))) changes["tags"] = tagsOf(now.tags);
  if (differs(before.tools, now.tools)) changes["agentpressTools"] = now.tools;
  if (differs(before.memory, now.memory)) changes["memory"] = now.memory;
  if (differs(before.approvals, now.approvals)) changes["approvals"] = now.approvals;
  return changes;
}

// The memory settings control these tools, so the form shows no switches for them.
const OF_MEMORY = new Set(["remember", "recall", "forget"]);

// The tools of a new agent: the core tools, and the tools that a new agent can switch on. The form also shows them until an existing agent's tools are loaded.
const CORE: readonly AgentTool[] = [
  ["bash", "Runs a command in the sandbox."],
  ["read", "Reads a file in the workspace."],
  ["write", "Writes a file in the workspace."],
  ["edit", "Replaces part of a text file."],
  ["glob", "Finds files by name pattern."],
  ["grep", "Finds lines that match a pattern."],
  ["bash_output", "Reads the output of a background command."],
  ["bash_kill", "Ends a background command."],
  ["ask_user", "Asks the user a question. The run waits for the answer."],
  ["task", "Gives a task to another agent of the account, and waits for its answer."],
].map(([name, description]) => ({ name: name!, description: description!, isCore: !OFF.has(name!), enabled: !OFF.has(name!), parametersSchema: "{}", server: "" }));
