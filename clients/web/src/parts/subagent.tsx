// The run of a subagent, in the card of the call that started it; and the link back to that call.
import { ArrowUpRight, Bot, CornerLeftUp } from "lucide";
import { useEffect, useState } from "preact/hooks";
import { runyard } from "../client";
import { explainError } from "../errors";
import { go } from "../router";
import { agents, loadAgents } from "../stores/agents";
import { streamError, useRun } from "../stores/live";
import type { Explained } from "../view/refusal";
import type { Subagent } from "../view/run";
import { RefusalNote, State } from "./basic";
import { Icon } from "./icon";
import { Failure, RunTrack, Used } from "./run";

export function SubagentRun({ of }: { of: Subagent }) {
  const view = useRun(of.runId).value;
  const refused = streamError(of.runId);
  useEffect(() => {
    if (!agents.state.peek().value) void loadAgents();
  }, []);
  const name = agents.value?.find((agent) => agent.agentId === of.agentId)?.name ?? "Subagent";
  return (
    <section class="subagent" aria-label={`Subagent ${name}, ${view.state}`}>
      <header class="subagent-head">
        <Icon of={Bot} size={16} />
        <strong>{name}</strong>
        <State of={view.state} />
        <Used view={view} />
        <a class="button button-small push" href={`#/threads/${of.threadId}`}>
          Open thread
          <Icon of={ArrowUpRight} size={14} />
        </a>
      </header>
      {refused && <RefusalNote explained={refused} />}
      <RunTrack view={view} />
      <Failure view={view} />
    </section>
  );
}

/** The parent run is loaded on a click, because only its thread is needed. */
export function ParentLink({ parentRunId }: { parentRunId: string }) {
  const [refused, setRefused] = useState<Explained | null>(null);
  const open = async () => {
    try {
      go(`/threads/${(await runyard().runs.get(parentRunId)).threadId}`);
    } catch (error) {
      setRefused(explainError(error));
    }
  };
  return (
    <>
      <p class="parent small">
        <Icon of={CornerLeftUp} size={14} />
        Started by another agent.
        <button type="button" class="button button-small" onClick={() => void open()}>
          Open its thread
        </button>
      </p>
      {refused && <RefusalNote explained={refused} onClose={() => setRefused(null)} />}
    </>
  );
}
