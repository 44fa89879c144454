// Plays the scenario of tests/foreign/scenario.py with the official grpc-web in a browser.
//
// protoc-gen-grpc-web is in no package registry, so this file contains the method descriptors that it would generate.
// The package declares `thenableCall` but does not implement it, so this file calls `unaryCall`.

import { GrpcWebClientBase, MethodDescriptor, MethodType, StatusCode } from "grpc-web";
import { BadRequest, ErrorInfo } from "./js/google/rpc/error_details_pb.js";
import { Status } from "./js/google/rpc/status_pb.js";
import * as agents from "./js/runyard/v1/agents_pb.js";
import { Refusal } from "./js/runyard/v1/errors_pb.js";
import { RunEvent, RunStatus } from "./js/runyard/v1/events_pb.js";
import * as runs from "./js/runyard/v1/runs_pb.js";
import { run, say, settings } from "./host_web.mjs";
import { listen, pause } from "./silence.mjs";

const describe = (path, kind, Request, Response) =>
  new MethodDescriptor(`/runyard.v1.${path}`, kind, Request, Response, (request) => request.serializeBinary(), Response.deserializeBinary);
const unary = (path, Request, Response) => describe(path, MethodType.UNARY, Request, Response);
const METHODS = {
  listAgents: unary("AgentService/ListAgents", agents.ListAgentsRequest, agents.ListAgentsResponse),
  getAgent: unary("AgentService/GetAgent", agents.GetAgentRequest, agents.Agent),
  createAgent: unary("AgentService/CreateAgent", agents.CreateAgentRequest, agents.Agent),
  startRun: unary("RunService/StartRun", runs.StartRunRequest, runs.StartRunResponse),
  stopRun: unary("RunService/StopRun", runs.StopRunRequest, runs.Run),
  streamRun: describe("RunService/StreamRun", MethodType.SERVER_STREAMING, runs.StreamRunRequest, RunEvent),
};
const TERMINAL = [RunStatus.RUN_STATUS_COMPLETED, RunStatus.RUN_STATUS_FAILED, RunStatus.RUN_STATUS_STOPPED];

const nameIn = (names, value) => Object.keys(names).find((name) => names[name] === value);
const codeOf = (error) => nameIn(StatusCode, error.code) ?? String(error);
const caller = { authorization: `Bearer ${settings.RUNYARD_TOKEN}` };

// The format is text (base64) or binary. Text delivers each event when it arrives. Binary delivers all events at the
// end of the stream.
const client = new GrpcWebClientBase({ format: settings.VARIANT });

const call = (method, request, metadata = caller) =>
  client.unaryCall(`${settings.RUNYARD_SERVER}${METHODS[method].getName()}`, request, metadata, METHODS[method]);

/** The events of a run that this client has received so far. */
class Progress {
  sequence = 0;
  text = "";
  end = "";

  constructor(id) {
    this.id = id;
  }

  /** Records an event. Returns false for a heartbeat. */
  take(event) {
    if (event.getEventCase() === RunEvent.EventCase.EVENT_NOT_SET) {
      return false;
    }
    this.sequence = event.getSequence();
    if (event.hasMessageDelta()) {
      this.text += event.getMessageDelta().getText();
    } else if (event.hasToolCall()) {
      say("tool", event.getToolCall().getName(), event.getToolCall().getArguments().toJavaScript().path);
    } else if (event.hasStatus() && TERMINAL.includes(event.getStatus().getStatus())) {
      this.end = nameIn(RunStatus, event.getStatus().getStatus());
    }
    return true;
  }

  /**
   * Streams the events that the client has not received yet. Calls `taken` after each event; `taken` can cancel the
   * stream.
   */
  stream(taken, metadata = {}) {
    const request = new runs.StreamRunRequest().setAgentRunId(this.id).setAfterSequence(this.sequence);
    const url = `${settings.RUNYARD_SERVER}${METHODS.streamRun.getName()}`;
    return new Promise((resolve, reject) => {
      const stream = client.serverStreaming(url, request, { ...caller, ...metadata }, METHODS.streamRun);
      // grpc-web calls no listener of a cancelled stream, so `cancel` rejects the promise itself.
      const cancel = () => {
        silence.stop();
        stream.cancel();
        void pause().then(() => reject("nothing"));
      };
      const silence = listen(cancel);
      stream.on("data", (event) => {
        silence.heard();
        if (this.take(event)) {
          taken?.(cancel);
        }
      });
      stream.on("error", (error) => {
        silence.stop();
        reject(error);
      });
      stream.on("end", () => {
        silence.stop();
        resolve();
      });
    });
  }
}

/** Decodes the details of an error that are messages of `Type`, and skips all other details. */
function detailsOf(error, Type, name) {
  const status = Status.deserializeBinary(error.metadata["grpc-status-details-bin"]);
  return status
    .getDetailsList()
    .map((detail) => detail.unpack(Type.deserializeBinary, name))
    .filter((detail) => detail !== null);
}

async function refused(answer) {
  const error = await answer.then(() => Promise.reject(new Error("the call was not refused")), (reason) => reason);
  const words = [codeOf(error), ...detailsOf(error, ErrorInfo, "google.rpc.ErrorInfo").map((info) => info.getReason())];
  for (const request of detailsOf(error, BadRequest, "google.rpc.BadRequest")) {
    words.push(...request.getFieldViolationsList().map((violation) => `field=${violation.getField()}`));
  }
  for (const refusal of detailsOf(error, Refusal, "runyard.v1.Refusal")) {
    words.push(`plan=${refusal.getTierName()}`, `${refusal.getCurrentCount()}/${refusal.getLimit()}`);
  }
  say("refused", ...words);
}

/** Streams a run to its end. Opens a new stream whenever the stream breaks. */
async function follow(progress) {
  while (!progress.end) {
    const code = await progress.stream(() => say("event", progress.sequence)).then(() => "OK", codeOf);
    if (!progress.end) {
      say("broken", code);
      await pause();
    }
  }
}

await run(async () => {
  await refused(call("listAgents", new agents.ListAgentsRequest(), { authorization: "Bearer a.b.c" }));
  await refused(call("getAgent", new agents.GetAgentRequest().setAgentId("nonsense")));
  await refused(call("createAgent", new agents.CreateAgentRequest().setName("One more")));

  const started = await call("startRun", new runs.StartRunRequest().setPrompt(settings.RUNYARD_PROMPT));
  say("started", nameIn(RunStatus, started.getStatus()));
  const first = new Progress(started.getAgentRunId());
  await follow(first);
  say("text", first.text);
  say("ended", first.end);

  const slow = await call("startRun", new runs.StartRunRequest().setPrompt(settings.RUNYARD_SLOW_PROMPT));
  const second = new Progress(slow.getAgentRunId());
  // grpc-web reads the deadline from the metadata, as a Unix time in milliseconds.
  await second.stream(undefined, { deadline: String(Date.now() + 2_000) }).catch((error) => say("deadline", codeOf(error)));

  await new Progress(second.id).stream((cancel) => cancel()).catch((error) => say("cancelled", codeOf(error)));

  await call("stopRun", new runs.StopRunRequest().setAgentRunId(second.id));
  await second.stream();
  say("stopped", second.end);
});
