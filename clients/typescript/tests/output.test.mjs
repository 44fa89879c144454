// Tests of the output of a run against a scripted server: its JSON schema, and the answer as the type of a schema.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { z } from "zod";
import { Runyard } from "../dist/index.js";
import { RunEventSchema, RunService, RunStatus } from "../dist/proto.js";

const LIMIT = { timeout: 60_000 };
const City = z.strictObject({ name: z.string().describe("The name."), people: z.int(), founded: z.string().transform((text) => new Date(text)).optional() });
const ROME = { name: "Rome", people: 2_800_000 };

/** Returns a client of a server with one run, which has ended in this way, and the received start request. */
function scripted(status, output, error) {
  const seen = {};
  const state = { agentRunId: "run", status, output, error };
  const responses = {
    StartRun: () => ({ agentRunId: "run", threadId: "thread", projectId: "project" }),
    GetRun: () => state,
    StreamRun: () => ({ agentRunId: "run", sequence: 1n, createdAt: timestampNow(), event: { case: "status", value: { status, output } } }),
    StreamRuns: () => responses.StreamRun(),
  };
  const fetch = async (url, init) => {
    const name = url.split("/").at(-1);
    const method = Object.values(RunService.method).find((one) => one.name === name);
    const body = new Uint8Array(await new Response(init.body).arrayBuffer());
    if (name === "StartRun") {
      seen.start = fromBinary(method.input, body.subarray(5));
    }
    const schema = method.methodKind === "unary" ? method.output : RunEventSchema;
    const message = toBinary(schema, create(schema, responses[name]()));
    const parts = [frame(0, message), frame(0x80, new TextEncoder().encode("grpc-status: 0\r\n"))];
    return new Response(new Blob(parts), { headers: { "content-type": "application/grpc-web+proto" } });
  };
  return { seen, client: new Runyard({ baseUrl: "http://scripted", fetch }) };
}

function frame(flags, bytes) {
  const framed = new Uint8Array(5 + bytes.length);
  framed[0] = flags;
  new DataView(framed.buffer).setUint32(1, bytes.length);
  framed.set(bytes, 5);
  return framed;
}

test("a Zod schema gives the JSON schema and the type of the output", LIMIT, async () => {
  const { seen, client } = scripted(RunStatus.COMPLETED, { ...ROME, founded: "0001-01-01" });
  const run = await client.agents.run({ prompt: "x", output: City });
  const schema = seen.start.outputSchema;
  assert.deepEqual(schema.required, ["name", "people"]);
  assert.equal(schema.properties.name.description, "The name.");
  assert.equal(schema.properties.people.type, "integer");
  assert.equal(schema.additionalProperties, false);
  const city = await run.output();
  assert.equal(city.name, "Rome");
  assert.ok(city.founded instanceof Date, "the schema converts the value");
  const events = [];
  for await (const event of run) {
    events.push(event);
  }
  assert.equal(events[0].output.people, 2_800_000);
  const opened = await client.runs.open("run", { output: City });
  assert.ok((await opened.output()).founded instanceof Date);
  assert.equal((await client.runs.get("run")).output.name, "Rome");
});

test("a JSON schema gives a plain object", LIMIT, async () => {
  const { seen, client } = scripted(RunStatus.COMPLETED, ROME);
  const schema = { type: "object", properties: { name: { type: "string" } } };
  const run = await client.agents.run({ prompt: "x", output: schema });
  assert.deepEqual(seen.start.outputSchema, schema);
  assert.deepEqual(await run.output(), ROME);
});

test("a schema library needs a JSON schema", LIMIT, async () => {
  const { seen, client } = scripted(RunStatus.COMPLETED, ROME);
  const validate = (value) => ({ value: Object.keys(value).length });
  const standard = (extra) => ({ "~standard": { version: 1, vendor: "test", validate, ...extra } });
  await assert.rejects(client.agents.run({ prompt: "x", output: standard() }), TypeError);
  assert.equal(seen.start, undefined);
  const input = ({ target }) => ({ $schema: target, type: "object" });
  const run = await client.agents.run({ prompt: "x", output: standard({ jsonSchema: { input } }) });
  assert.deepEqual(seen.start.outputSchema, { $schema: "draft-2020-12", type: "object" });
  assert.equal(await run.output(), 2);
});

test("a run without an output explains why", LIMIT, async () => {
  const refused = scripted(RunStatus.COMPLETED, { name: "Rome", people: 1.5 });
  const run = await refused.client.agents.run({ prompt: "x", output: City });
  await assert.rejects(run.output(), (error) => error instanceof TypeError && error.message.includes("people: "));
  const failed = scripted(RunStatus.FAILED, undefined, { errorCode: "INVALID_OUTPUT", message: "it does not match" });
  const ended = await failed.client.agents.run({ prompt: "x", output: City });
  await assert.rejects(ended.output(), { errorCode: "INVALID_OUTPUT", message: "it does not match" });
  const stopped = scripted(RunStatus.STOPPED, undefined);
  await assert.rejects((await stopped.client.agents.run({ prompt: "x" })).output(), { kind: "conflicting" });
  const free = scripted(RunStatus.COMPLETED, undefined);
  const plain = await free.client.agents.run({ prompt: "x" });
  assert.equal(free.seen.start.outputSchema, undefined);
  await assert.rejects(plain.output(), TypeError);
});
