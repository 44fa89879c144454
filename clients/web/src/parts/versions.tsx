// The versions of an agent.
import { useSignal } from "@preact/signals";
import type { Agent, AgentComparison, AgentVersion } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { announce } from "../stores/announce";
import { explainError } from "../errors";
import { difference } from "../view/diff";
import { dayAndTime } from "../view/format";
import type { Explained } from "../view/refusal";
import { DiffView } from "./diff";
import { RefusalNote, Spinner } from "./basic";

const FIELDS: Record<string, string> = {
  system_prompt: "System prompt",
  model: "Model",
  configured_mcps: "Integrations (MCP)",
  custom_mcps: "Custom MCP servers",
  agentpress_tools: "Tools",
  skills: "Skills",
  memory: "Memory",
  approvals: "Approvals",
};

export function VersionHistory({ agent, onChanged }: { agent: Agent; onChanged: (agent: Agent) => void }) {
  const versions = useSignal<readonly AgentVersion[] | null>(null);
  const left = useSignal("");
  const right = useSignal("");
  const compared = useSignal<AgentComparison | null>(null);
  const refused = useSignal<Explained | null>(null);
  const busy = useSignal(false);
  useEffect(() => {
    runyard()
      .agents.listVersions(agent.agentId, { pageSize: 200 })
      .all(500)
      .then(
        (list) => {
          versions.value = list;
          right.value ||= list[0]?.versionId ?? "";
          left.value ||= list[1]?.versionId ?? list[0]?.versionId ?? "";
        },
        (error) => (refused.value = explainError(error)),
      );
  }, [agent.currentVersionId, agent.versionCount]);
  useEffect(() => {
    compared.value = null;
    if (!left.value || !right.value || left.value === right.value) return;
    const abort = new AbortController();
    runyard()
      .agents.compareVersions(agent.agentId, left.value, right.value, { signal: abort.signal })
      .then(
        (comparison) => (compared.value = comparison),
        (error) => {
          if (!abort.signal.aborted) refused.value = explainError(error);
        },
      );
    return () => abort.abort();
  }, [left.value, right.value]);
  const act = async (what: () => Promise<Agent>, words: string) => {
    busy.value = true;
    refused.value = null;
    try {
      onChanged(await what());
      announce(words);
    } catch (error) {
      refused.value = explainError(error);
    } finally {
      busy.value = false;
    }
  };
  if (!versions.value) return refused.value ? <RefusalNote explained={refused.value} /> : <Spinner label="Loading versions" />;
  const list = versions.value;
  return (
    <div class="versions">
      {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
      <ol class="version-list" aria-label="Versions, newest first">
        {list.map((version) => (
          <li key={version.versionId} class={version.versionId === agent.currentVersionId ? "version version-current" : "version"}>
            <div class="version-head">
              <strong>{version.versionName}</strong>
              {version.versionId === agent.currentVersionId && <span class="tag tag-default">Current</span>}
              <span class="small dim numbers">
                {version.model}
                {version.createdAt && ` · ${dayAndTime(version.createdAt)}`}
              </span>
              <span class="push version-actions">
                {version.versionId !== agent.currentVersionId && (
                  <>
                    <button
                      type="button"
                      class="button button-small"
                      disabled={busy.value}
                      aria-label={`Make current: ${version.versionName}`}
                      title="Use this version for new runs; no new version is created"
                      onClick={() => void act(() => runyard().agents.activateVersion(agent.agentId, version.versionId), `${version.versionName} is now the current version`)}
                    >
                      Make current
                    </button>
                    <button
                      type="button"
                      class="button button-small"
                      disabled={busy.value}
                      aria-label={`Duplicate ${version.versionName}`}
                      title="Create a new version with these settings and use it for new runs"
                      onClick={() => void act(() => runyard().agents.rollbackVersion(agent.agentId, version.versionId), `Duplicated ${version.versionName} into a new version`)}
                    >
                      Duplicate
                    </button>
                  </>
                )}
              </span>
            </div>
            <p class="small dim version-prompt">{version.systemPrompt}</p>
          </li>
        ))}
      </ol>
      {list.length > 1 && (
        <section aria-labelledby="compare">
          <div class="section-head">
            <h2 id="compare">Compare</h2>
            <VersionChoice label="Before" versions={list} value={left.value} onChange={(value) => (left.value = value)} />
            <VersionChoice label="After" versions={list} value={right.value} onChange={(value) => (right.value = value)} />
          </div>
          {left.value === right.value ? (
            <p class="dim">Choose two different versions.</p>
          ) : !compared.value ? (
            <Spinner label="Comparing" />
          ) : compared.value.differences.length === 0 ? (
            <p class="dim">These versions are identical.</p>
          ) : (
            compared.value.differences.map((one) => (
              <div key={one.field} class="difference">
                <h3>{FIELDS[one.field] ?? one.field}</h3>
                <DiffView label={`Changes to ${FIELDS[one.field] ?? one.field}`} lines={difference(readable(one.before), readable(one.after))} />
              </div>
            ))
          )}
        </section>
      )}
    </div>
  );
}

function VersionChoice({ label, versions, value, onChange }: { label: string; versions: readonly AgentVersion[]; value: string; onChange: (value: string) => void }) {
  return (
    <label class="choice choice-labelled">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {versions.map((version) => (
          <option key={version.versionId} value={version.versionId}>
            {version.versionName}
          </option>
        ))}
      </select>
    </label>
  );
}

// A JSON string is shown as text, any other value as indented JSON.
function readable(json: string): string {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "string" ? value : JSON.stringify(value, null, 2);
  } catch {
    return json;
  }
}
