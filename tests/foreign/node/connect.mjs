// Plays the scenario of tests/foreign/scenario.py with connect-es, in Node and in browsers.

import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema } from "./es/google/rpc/error_details_pb.js";
import { AgentService } from "./es/runyard/v1/agents_pb.js";
import { RefusalSchema } from "./es/runyard/v1/errors_pb.js";
import { RunStatus, RunStatusSchema } from "./es/runyard/v1/events_pb.js";
import { RunService } from "./es/runyard/v1/runs_pb.js";
import { listen, pause } from "./silence.mjs";

const TERMINAL = [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.STOPPED];
const nameOf = (status) => RunStatusSchema.value[status].name;
const codeOf = (error) => Code[ConnectError.from(error).code];

/** The events of a run that this client has received so far. */
class Progress {
  sequence = 0n;
  text = "";
  end = "";

  constructor(id, say) {
    this.id = id;
    this.say = say;
  }

  /** Records an event. Returns false for a heartbeat. */
  take({ sequence, event }) {
    if (!event.case) {
      return false;
    }
    this.sequence = sequence;
    if (event.case === "messageDelta") {
      this.text += event.value.text;
    } else if (event.case === "toolCall") {
      this.say("tool", event.value.name, event.value.arguments.path);
    } else if (event.case === "status" && TERMINAL.includes(event.value.status)) {
      this.end = nameOf(event.value.status);
    }
    return true;
  }
}

export async function wholeRun(transport, settings, say) {
  const runs = createClient(RunService, transport);
  const agents = createClient(AgentService, transport);
  const headers = { authorization: `Bearer ${settings.RUNYARD_TOKEN}` };

  const refused = async (answer) => {
    const error = await answer.then(() => Promise.reject(new Error("the call was not refused")), ConnectError.from);
    const words = [Code[error.code], ...error.findDetails(ErrorInfoSchema).map(({ reason }) => reason)];
    for (const { fieldViolations } of error.findDetails(BadRequestSchema)) {
      words.push(...fieldViolations.map(({ field }) => `field=${field}`));
    }
    for (const { tierName, currentCount, limit } of error.findDetails(RefusalSchema)) {
      words.push(`plan=${tierName}`, `${currentCount}/${limit}`);
    }
    say("refused", ...words);
  };

  /**
   * Streams the events that the client has not received yet. Calls `taken` after each event; `taken` can abort the
   * stream.
   */
  const stream = async (progress, taken, options = {}) => {
    const controller = new AbortController();
    const silence = listen(() => controller.abort(new ConnectError("no heartbeat", Code.Unavailable)));
    const request = { agentRunId: progress.id, afterSequence: progress.sequence };
    try {
      for await (const event of runs.streamRun(request, { headers, signal: controller.signal, ...options })) {
        silence.heard();
        if (progress.take(event)) {
          taken?.(controller);
        }
      }
    } finally {
      silence.stop();
    }
  };

  /** Streams a run to its end. Opens a new stream whenever the stream breaks. */
  const follow = async (progress) => {
    while (!progress.end) {
      const code = await stream(progress, () => say("event", progress.sequence)).then(() => "OK", codeOf);
      if (!progress.end) {
        say("broken", code);
        await pause();
      }
    }
  };

  await refused(agents.listAgents({}, { headers: { authorization: "Bearer a.b.c" } }));
  await refused(agents.getAgent({ agentId: "nonsense" }, { headers }));
  await refused(agents.createAgent({ name: "One more" }, { headers }));

  const started = await runs.startRun({ prompt: settings.RUNYARD_PROMPT }, { headers });
  say("started", nameOf(started.status));
  const first = new Progress(started.agentRunId, say);
  await follow(first);
  say("text", first.text);
  say("ended", first.end);

  const slow = await runs.startRun({ prompt: settings.RUNYARD_SLOW_PROMPT }, { headers });
  const second = new Progress(slow.agentRunId, say);
  await stream(second, undefined, { timeoutMs: 2_000 }).catch((error) => say("deadline", codeOf(error)));

  await stream(new Progress(second.id, say), (controller) => controller.abort()).catch((error) => say("cancelled", codeOf(error)));

  await runs.stopRun({ agentRunId: second.id }, { headers });
  await stream(second);
  say("stopped", second.end);
}
