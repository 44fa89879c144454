// Plays the scenario of tests/foreign/scenario.py with @grpc/grpc-js and @grpc/proto-loader.

import { credentials, loadPackageDefinition, Metadata, status } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import protobuf from "protobufjs";
import { run, say, settings } from "./host_node.mjs";
import { pause } from "./silence.mjs";

const PROTO = settings.RUNYARD_PROTO;
// int64 values become strings, because JavaScript numbers would lose digits.
const definitions = loadSync(["runyard/v1/agents.proto", "runyard/v1/runs.proto"], {
  includeDirs: [PROTO],
  keepCase: true,
  longs: String,
  enums: String,
  oneofs: true,
});
const { AgentService, RunService } = loadPackageDefinition(definitions).runyard.v1;

// grpc-js does not decode `google.rpc.Status`, so protobufjs decodes it.
const root = new protobuf.Root();
root.resolvePath = (_, path) => `${PROTO}/${path}`;
root.loadSync(["google/rpc/status.proto", "google/rpc/error_details.proto", "runyard/v1/errors.proto"]);

/** Returns the typed details of an error, keyed by message name. */
function detailsOf(error) {
  const [encoded] = error.metadata.get("grpc-status-details-bin");
  const { details } = root.lookupType("google.rpc.Status").decode(encoded);
  return Object.fromEntries(
    details.map(({ type_url: url, value }) => {
      const name = url.split("/").pop();
      return [name, root.lookupType(name).decode(value)];
    }),
  );
}

// Without keepalive, a client does not notice that the network drops all packets.
const OPTIONS = { "grpc.keepalive_time_ms": 10_000, "grpc.keepalive_timeout_ms": 5_000 };
const address = settings.RUNYARD_SERVER.replace("http://", "");
const agents = new AgentService(address, credentials.createInsecure(), OPTIONS);
const runs = new RunService(address, credentials.createInsecure(), OPTIONS);

const bearer = (token) => {
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  return metadata;
};
const caller = bearer(settings.RUNYARD_TOKEN);

/** Makes a unary call and returns a promise of the response. */
const call = (client, method, request, metadata = caller) =>
  new Promise((resolve, reject) => {
    client[method](request, metadata, (error, answer) => (error ? reject(error) : resolve(answer)));
  });

const TERMINAL = ["RUN_STATUS_COMPLETED", "RUN_STATUS_FAILED", "RUN_STATUS_STOPPED"];

/** The events of a run that this client has received so far. */
class Progress {
  sequence = "0";
  text = "";
  end = "";

  constructor(id) {
    this.id = id;
  }

  /** Records an event. Returns false for a heartbeat. */
  take(event) {
    if (!event.event) {
      return false;
    }
    this.sequence = event.sequence;
    if (event.event === "message_delta") {
      this.text += event.message_delta.text;
    } else if (event.event === "tool_call") {
      say("tool", event.tool_call.name, event.tool_call.arguments.fields.path.stringValue);
    } else if (event.event === "status" && TERMINAL.includes(event.status.status)) {
      this.end = event.status.status;
    }
    return true;
  }

  /** Streams the events that the client has not received yet. Rejects if the stream fails. */
  async stream(taken, options = {}) {
    const stream = runs.StreamRun({ agent_run_id: this.id, after_sequence: this.sequence }, caller, options);
    for await (const event of stream) {
      if (this.take(event)) {
        taken?.(stream);
      }
    }
  }
}

async function refused(answer) {
  const error = await answer.then(() => Promise.reject(new Error("the call was not refused")), (reason) => reason);
  const details = detailsOf(error);
  const words = [status[error.code], details["google.rpc.ErrorInfo"].reason];
  for (const { field } of details["google.rpc.BadRequest"]?.fieldViolations ?? []) {
    words.push(`field=${field}`);
  }
  const refusal = details["runyard.v1.Refusal"];
  if (refusal) {
    words.push(`plan=${refusal.tierName}`, `${refusal.currentCount}/${refusal.limit}`);
  }
  say("refused", ...words);
}

/** Streams a run to its end. Opens a new stream whenever the stream breaks. */
async function follow(progress) {
  while (!progress.end) {
    const code = await progress.stream(() => say("event", progress.sequence)).then(() => "OK", (error) => status[error.code]);
    if (!progress.end) {
      say("broken", code);
      await pause();
    }
  }
}

await run(async () => {
  await refused(call(agents, "ListAgents", {}, bearer("a.b.c")));
  await refused(call(agents, "GetAgent", { agent_id: "nonsense" }));
  await refused(call(agents, "CreateAgent", { name: "One more" }));

  const started = await call(runs, "StartRun", { prompt: settings.RUNYARD_PROMPT });
  say("started", started.status);
  const first = new Progress(started.agent_run_id);
  await follow(first);
  say("text", first.text);
  say("ended", first.end);

  const slow = await call(runs, "StartRun", { prompt: settings.RUNYARD_SLOW_PROMPT });
  const second = new Progress(slow.agent_run_id);
  await second.stream(undefined, { deadline: Date.now() + 2_000 }).catch((error) => say("deadline", status[error.code]));

  await new Progress(second.id).stream((stream) => stream.cancel()).catch((error) => say("cancelled", status[error.code]));

  await call(runs, "StopRun", { agent_run_id: second.id });
  await second.stream();
  say("stopped", second.end);
});
