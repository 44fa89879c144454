// Tests of client tools against a scripted server, which answers at the moments that a test chooses.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { Runyard } from "../dist/index.js";
import { InputDecision, InputKind, InputService, RunEventSchema, RunService, RunStatus } from "../dist/proto.js";

const LIMIT = { timeout: 60_000 };
const METHODS = { ...InputService.method, ...RunService.method };

/** A server with one run. `answers` are the received answers; `fail` makes the next calls of a method fail. */
class Scripted {
  events = [];
  answers = [];
  decided = new Map();
  calls = [];
  failures = {};
  #changed = deferred();

  client(options = {}) {
    return new Runyard({ baseUrl: "http://scripted", fetch: (url, init) => this.#fetch(url, init), reconnectForMs: 10_000, ...options });
  }

  add(name, value) {
    const event = { agentRunId: "run", sequence: BigInt(this.events.length + 1), createdAt: timestampNow() };
    this.events.push(create(RunEventSchema, { ...event, event: { case: name, value } }));
    this.#wake();
  }

  ask(inputId, name, args = {}, kind = InputKind.CLIENT_TOOL) {
    this.add("inputRequested", { inputId, kind, toolCallId: `call-${inputId}`, name, arguments: args });
  }

  end(status = RunStatus.COMPLETED) {
    this.add("status", { status });
  }

  #wake() {
    this.#changed.resolve();
    this.#changed = deferred();
  }

  get status() {
    return this.events.findLast(({ event }) => event.case === "status")?.event.value.status ?? RunStatus.RUNNING;
  }

  /** Waits until `answers` has this length. */
  async answered(count) {
    while (this.answers.length < count) {
      await this.#changed.promise;
    }
    return this.answers;
  }

  async #fetch(url, init) {
    const name = url.split("/").at(-1);
    const method = Object.values(METHODS).find((one) => one.name === name);
    const body = new Uint8Array(await new Response(init.body).arrayBuffer());
    const request = fromBinary(method.input, body.slice(5));
    this.calls.push(name);
    const failure = this.failures[name]?.shift();
    if (failure === "lost") {
      throw new TypeError("fetch failed");
    }
    if (failure) {
      return new Response(trailer(failure), { headers: { "content-type": "application/grpc-web+proto" } });
    }
    const stream = new ReadableStream({
      start: (out) => this.#answer(name, method, request, out, init.signal).catch((error) => out.error(error)),
    });
    return new Response(stream, { headers: { "content-type": "application/grpc-web+proto" } });
  }

  async #answer(name, method, request, out, signal) {
    const send = (message) => out.enqueue(frame(0, toBinary(method.output, create(method.output, message))));
    const input = (inputId) => ({ inputId, agentRunId: "run", ...this.decided.get(inputId) });
    switch (name) {
      case "StartRun":
        this.started = request;
        send({ agentRunId: "run", threadId: "thread", projectId: "project", status: RunStatus.RUNNING });
        break;
      case "GetRun":
        send({ agentRunId: "run", threadId: "thread", status: this.status });
        break;
      case "GetInput":
        send(input(request.inputId));
        break;
      case "ListPendingInputs": {
        const asked = this.events.filter(({ event }) => event.case === "inputRequested").map(({ event }) => event.value);
        const pending = asked.filter(({ inputId }) => !this.decided.has(inputId));
        send({ inputs: pending.map(({ inputId, kind, toolCallId, name: tool, arguments: args }) => ({ inputId, agentRunId: "run", kind, toolCallId, name: tool, arguments: args })) });
        break;
      }
      case "AnswerInput":
        for (const { inputId, decision, text, isError } of request.answers) {
          if (!this.decided.has(inputId)) {
            this.decided.set(inputId, { decision, text, isError });
            this.answers.push({ inputId, decision, text, isError });
            this.add("inputAnswered", { inputId, decision, text, isError });
          }
        }
        send({ inputs: request.answers.map(({ inputId }) => input(inputId)), status: RunStatus.RUNNING });
        break;
      case "StreamRun":
      case "StreamRuns": {
        let sent = Number(request.afterSequence ?? request.runs[0].afterSequence);
        for (;;) {
          for (; sent < this.events.length; sent += 1) {
            send(this.events[sent]);
            if (this.events[sent].event.value.status >= RunStatus.COMPLETED && this.events[sent].event.value.status !== RunStatus.WAITING) {
              out.enqueue(frame(128, new TextEncoder().encode("grpc-status: 0\r\n")));
              out.close();
              return;
            }
            if (this.cutAfter === sent + 1) {
              this.cutAfter = undefined;
              out.error(new TypeError("cut"));
              return;
            }
          }
          await Promise.race([this.#changed.promise, new Promise((resolve) => signal.addEventListener("abort", resolve))]);
          signal.throwIfAborted();
        }
      }
    }
    out.enqueue(frame(128, new TextEncoder().encode("grpc-status: 0\r\n")));
    out.close();
  }
}

function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

function frame(flags, data) {
  const framed = new Uint8Array(5 + data.length);
  framed[0] = flags;
  new DataView(framed.buffer).setUint32(1, data.length);
  framed.set(data, 5);
  return framed;
}

function trailer(code) {
  return frame(128, new TextEncoder().encode(`grpc-status: ${code}\r\ngrpc-message: scripted\r\n`));
}

const FAILED_PRECONDITION = 9;
const INVALID_ARGUMENT = 3;

async function all(stream) {
  const events = [];
  for await (const event of stream) {
    events.push(event);
  }
  return events;
}

function weather(calls, run = ({ city }) => `Sunny in ${city}`) {
  return {
    name: "weather",
    description: "Returns the weather.",
    parameters: { type: "object", properties: { city: { type: "string" } } },
    run: (args, call) => {
      calls.push({ args, ...call });
      return run(args, call);
    },
  };
}

test("a start declares the tools without their functions, and the run answers their calls", LIMIT, async () => {
  const server = new Scripted();
  const calls = [];
  const run = await server.client().agents.run({ prompt: "x", tools: [weather(calls), { name: "left" }] });
  assert.deepEqual(
    server.started.tools.map(({ name, description, parameters }) => ({ name, description, parameters })),
    [
      { name: "weather", description: "Returns the weather.", parameters: { type: "object", properties: { city: { type: "string" } } } },
      { name: "left", description: "", parameters: undefined },
    ],
  );
  server.add("status", { status: RunStatus.RUNNING });
  server.ask("one", "weather", { city: "Rome" });
  server.add("status", { status: RunStatus.WAITING });
  const reading = all(run);
  await server.answered(1);
  server.end();
  const events = await reading;
  assert.deepEqual(server.answers, [{ inputId: "one", decision: InputDecision.RESULT, text: "Sunny in Rome", isError: false }]);
  assert.deepEqual(events.map(({ type }) => type), ["status", "input_requested", "status", "input_answered", "status"]);
  assert.equal(events[1].kind, "client_tool");
  assert.equal(events[2].status, "waiting");
  assert.equal(events[3].decision, "result");
  assert.equal(calls.length, 1);
  assert.deepEqual([calls[0].args, calls[0].agentRunId, calls[0].inputId, calls[0].toolCallId], [{ city: "Rome" }, "run", "one", "call-one"]);
});

test("values become JSON, and thrown errors and oversized results become failed results", LIMIT, async () => {
  const server = new Scripted();
  const tools = [
    { name: "object", run: async () => ({ a: [1] }) },
    { name: "nothing", run: () => {} },
    { name: "binary", run: () => "a\0b" },
    { name: "broken", run: () => { throw new Error("no such city"); } },
    { name: "huge", run: () => "é".repeat(200_000) },
  ];
  const run = await server.client().agents.run({ prompt: "x", tools });
  tools.forEach(({ name }) => server.ask(name, name));
  const waited = run.text();
  await server.answered(5);
  server.end();
  await waited;
  const of = Object.fromEntries(server.answers.map(({ inputId, text, isError }) => [inputId, [text, isError]]));
  assert.deepEqual(of.object, ['{"a":[1]}', false]);
  assert.deepEqual(of.nothing, ["", false]);
  assert.deepEqual(of.binary, ["a\ufffdb", false]);
  assert.deepEqual(of.broken, ["no such city", true]);
  assert.deepEqual(of.huge, ["the result has 400000 bytes; the maximum is 262144", true]);
});

test("other tools, approvals and questions are left for others", LIMIT, async () => {
  const server = new Scripted();
  const calls = [];
  const client = server.client();
  const run = await client.agents.run({ prompt: "x", tools: [weather(calls), { name: "manual" }] });
  server.ask("other", "unknown");
  server.ask("manual", "manual");
  server.ask("approval", "weather", {}, InputKind.APPROVAL);
  server.ask("question", "weather", {}, InputKind.QUESTION);
  server.ask("own", "weather", { city: "Oslo" });
  const reading = all(run);
  await server.answered(1);
  assert.deepEqual((await client.inputs.listPending({ agentRunId: run.id })).items.map(({ inputId }) => inputId), [
    "other", "manual", "approval", "question",
  ]);
  const { status } = await client.inputs.answer(run.id, { inputId: "manual", decision: "result", text: "done" });
  assert.equal(status, "running");
  await client.inputs.answer(run.id, [{ inputId: "approval", decision: "deny", text: "no" }]);
  assert.equal((await client.inputs.get("approval")).decision, "deny");
  server.end();
  await reading;
  assert.deepEqual(server.answers.map(({ inputId }) => inputId), ["own", "manual", "approval"]);
  assert.equal(calls.length, 1);
});

test("a call is answered once across broken streams, several readers and repeated reading", LIMIT, async () => {
  const server = new Scripted();
  const calls = [];
  const gate = deferred();
  const run = await server.client().agents.run({ prompt: "x", tools: [weather(calls, async () => (await gate.promise, "late"))] });
  server.failures.AnswerInput = ["lost", "lost"];
  server.cutAfter = 2;
  server.add("status", { status: RunStatus.RUNNING });
  server.ask("one", "weather", { city: "Rome" });
  const readers = [all(run), all(run)];
  gate.resolve();
  await server.answered(1);
  server.end();
  const [first, second] = await Promise.all(readers);
  assert.deepEqual(first, second);
  assert.deepEqual(await all(run), first);
  assert.equal(calls.length, 1);
  assert.equal(server.answers.length, 1);
  assert.equal(server.calls.filter((name) => name === "AnswerInput").length, 3);
});

test("a reopened run runs the pending calls only, also after a cursor", LIMIT, async () => {
  for (const afterSequence of [0, 2]) {
    const server = new Scripted();
    const calls = [];
    server.ask("old", "weather", { city: "Rome" });
    server.decided.set("old", { decision: InputDecision.RESULT, text: "known" });
    server.ask("new", "weather", { city: "Oslo" });
    const run = await server.client().runs.open("run", { tools: [weather(calls)] });
    const leave = new AbortController();
    const reading = all(run.events({ afterSequence, signal: leave.signal }));
    await server.answered(1);
    leave.abort();
    await assert.rejects(reading, { name: "AbortError" });
    assert.deepEqual(server.answers.map(({ inputId, text }) => [inputId, text]), [["new", "Sunny in Oslo"]]);
    assert.equal(calls.length, 1);
  }
});

test("a function's signal is aborted when the run ends or another client answers", LIMIT, async () => {
  const server = new Scripted();
  const calls = [];
  const aborted = (_, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const client = server.client();
  const run = await client.agents.run({ prompt: "x", tools: [weather(calls, aborted)] });
  server.ask("one", "weather");
  server.ask("two", "weather");
  const seen = [];
  for await (const event of run) {
    seen.push(event.type);
    if (event.type === "input_requested" && event.inputId === "two") {
      while (calls.length < 2) {
        await new Promise(setImmediate);
      }
      await client.inputs.answer("run", { inputId: "one", decision: "result", text: "from elsewhere" });
    }
    if (event.type === "input_answered") {
      assert.deepEqual(calls.map(({ signal }) => signal.aborted), [true, false]);
      server.end(RunStatus.STOPPED);
    }
  }
  assert.deepEqual(calls.map(({ signal }) => signal.aborted), [true, true]);
  assert.deepEqual(server.answers.map(({ text }) => text), ["from elsewhere"]);
});

test("an answer to a run that has ended is no error, and a refused answer is", LIMIT, async () => {
  const server = new Scripted();
  const run = await server.client().agents.run({ prompt: "x", tools: [weather([])] });
  server.failures.AnswerInput = [FAILED_PRECONDITION, INVALID_ARGUMENT];
  server.ask("one", "weather", { city: "Rome" });
  const events = run.events();
  await events.next();
  server.add("notice", { message: "go on" });
  assert.equal((await events.next()).value.type, "notice");
  server.ask("two", "weather", { city: "Rome" });
  await events.next();
  await assert.rejects(events.next(), { kind: "invalid" });
  assert.equal((await events.next()).done, true);
});

test("a waiting run has not ended", LIMIT, async () => {
  const server = new Scripted();
  const run = await server.client().agents.run({ prompt: "x" });
  server.add("status", { status: RunStatus.WAITING });
  const waited = run.wait();
  for await (const event of run) {
    if (event.type === "status" && event.status === "waiting") {
      server.end();
    }
  }
  assert.equal((await waited).status, "completed");
});
