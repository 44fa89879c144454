// Plays the scenario of tests/foreign/scenario.py with protobuf-ts, in Node and in browsers.

import { base64decode, type IMessageType } from "@protobuf-ts/runtime";
import { RpcError, type RpcOptions, type RpcTransport, type UnaryCall } from "@protobuf-ts/runtime-rpc";
import { BadRequest, ErrorInfo } from "./ts/google/rpc/error_details";
import { Status } from "./ts/google/rpc/status";
import { Any } from "./ts/google/protobuf/any";
import { CreateAgentRequest, ListAgentsRequest } from "./ts/runyard/v1/agents";
import { AgentServiceClient } from "./ts/runyard/v1/agents.client";
import { Refusal } from "./ts/runyard/v1/errors";
import { RunStatus, type RunEvent } from "./ts/runyard/v1/events";
import { StartRunRequest } from "./ts/runyard/v1/runs";
import { RunServiceClient } from "./ts/runyard/v1/runs.client";
import { listen, pause } from "./silence.mjs";

type Say = (...words: unknown[]) => void;
type Settings = Record<string, string>;

const TERMINAL = [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.STOPPED];
// protobuf-ts removes the common prefix from the names of enum values.
const nameOf = (status: RunStatus) => `RUN_STATUS_${RunStatus[status]}`;
const codeOf = (error: unknown) => (error instanceof RpcError ? error.code : String(error));

class Progress {
  sequence = 0n;
  text = "";
  end = "";

  constructor(
    readonly id: string,
    private readonly say: Say,
  ) {}

  /** Applies an event. Returns false for a heartbeat. */
  take({ sequence, event }: RunEvent): boolean {
    if (!event.oneofKind) {
      return false;
    }
    this.sequence = sequence;
    if (event.oneofKind === "messageDelta") {
      this.text += event.messageDelta.text;
    } else if (event.oneofKind === "toolCall") {
      const path = event.toolCall.arguments?.fields.path?.kind;
      this.say("tool", event.toolCall.name, path?.oneofKind === "stringValue" ? path.stringValue : "");
    } else if (event.oneofKind === "status" && TERMINAL.includes(event.status.status)) {
      this.end = nameOf(event.status.status);
    }
    return true;
  }
}

/** protobuf-ts passes the trailer `grpc-status-details-bin` as base64. */
function detailsOf<T extends object>(error: RpcError, type: IMessageType<T>): T[] {
  const { details } = Status.fromBinary(base64decode(String(error.meta["grpc-status-details-bin"])));
  return details.filter((detail) => Any.contains(detail, type)).map((detail) => Any.unpack(detail, type));
}

export async function wholeRun(transport: RpcTransport, settings: Settings, say: Say): Promise<void> {
  const runs = new RunServiceClient(transport);
  const agents = new AgentServiceClient(transport);
  const caller: RpcOptions = { meta: { authorization: `Bearer ${settings.RUNYARD_TOKEN}` } };

  const refused = async (call: UnaryCall<object, object>) => {
    const error: RpcError = await call.then(() => Promise.reject(new Error("the call was not refused")), (reason) => reason);
    const words = [error.code, ...detailsOf(error, ErrorInfo).map(({ reason }) => reason)];
    for (const { fieldViolations } of detailsOf(error, BadRequest)) {
      words.push(...fieldViolations.map(({ field }) => `field=${field}`));
    }
    for (const { tierName, currentCount, limit } of detailsOf(error, Refusal)) {
      words.push(`plan=${tierName}`, `${currentCount}/${limit}`);
    }
    say("refused", ...words);
  };

  /** Streams the missing events. `taken` is called after each event and can abort the stream. */
  const stream = async (progress: Progress, taken?: (controller: AbortController) => void, options: RpcOptions = {}) => {
    const controller = new AbortController();
    const silence = listen(() => controller.abort());
    const request = { agentRunId: progress.id, afterSequence: progress.sequence };
    try {
      const call = runs.streamRun(request, { ...caller, abort: controller.signal, ...options });
      for await (const event of call.responses) {
        silence.heard();
        if (progress.take(event)) {
          taken?.(controller);
        }
      }
      await call;
    } finally {
      silence.stop();
    }
  };

  const follow = async (progress: Progress) => {
    while (!progress.end) {
      const code = await stream(progress, () => say("event", progress.sequence)).then(() => "OK", codeOf);
      if (!progress.end) {
        say("broken", code);
        await pause();
      }
    }
  };

  await refused(agents.listAgents(ListAgentsRequest.create(), { meta: { authorization: "Bearer a.b.c" } }));
  await refused(agents.getAgent({ agentId: "nonsense" }, caller));
  await refused(agents.createAgent(CreateAgentRequest.create({ name: "One more" }), caller));

  const started = await runs.startRun(StartRunRequest.create({ prompt: settings.RUNYARD_PROMPT }), caller).response;
  say("started", nameOf(started.status));
  const first = new Progress(started.agentRunId, say);
  await follow(first);
  say("text", first.text);
  say("ended", first.end);

  const slow = await runs.startRun(StartRunRequest.create({ prompt: settings.RUNYARD_SLOW_PROMPT }), caller).response;
  const second = new Progress(slow.agentRunId, say);
  await stream(second, undefined, { timeout: 2_000 }).catch((error) => say("deadline", codeOf(error)));

  await stream(new Progress(second.id, say), (controller) => controller.abort()).catch((error) => say("cancelled", codeOf(error)));

  await runs.stopRun({ agentRunId: second.id }, caller).response;
  await stream(second);
  say("stopped", second.end);
}
