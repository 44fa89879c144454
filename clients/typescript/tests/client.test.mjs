// Tests of cases that tests/clients/golden.json does not cover, such as broken connections and aborts.

import assert from "node:assert/strict";
import { openAsBlob } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, request as forward } from "node:http";
import { connect, createServer as connectListener } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { inspect } from "node:util";
import { fromBinary } from "@bufbuild/protobuf";
import { isRunyardError, newId, Runyard, RunyardError } from "../dist/index.js";
import { AccountService, StreamRunsRequestSchema } from "../dist/proto.js";
import { Server } from "./server.mjs";

const LIMIT = { timeout: 300_000 };

let server;
before(async () => {
  server = await Server.start();
});
after(() => server?.close());

function counting() {
  const seen = { opened: 0, open: 0, most: 0 };
  const counted = async (url, init) => {
    if (!String(url).endsWith("/StreamRuns")) {
      return fetch(url, init);
    }
    seen.opened += 1;
    seen.open += 1;
    seen.most = Math.max(seen.most, seen.open);
    init.signal.addEventListener("abort", () => {
      seen.open -= 1;
    });
    return fetch(url, init);
  };
  return [counted, seen];
}

async function all(stream) {
  const events = [];
  for await (const event of stream) {
    events.push(event);
  }
  return events;
}

function assertWhole(events) {
  assert.deepEqual(
    events.map((event) => event.sequence),
    events.map((_, position) => position + 1),
    "no gap and no repeat",
  );
  const last = events.at(-1);
  assert.equal(last.type, "status");
  assert.notEqual(last.status, "running");
}

function textOf(events) {
  return events.map((event) => (event.type === "message_delta" ? event.text : "")).join("");
}

function words(count) {
  return Array.from({ length: count }, (_, number) => `word-${number} `).join("");
}

test("a stream resumes from its cursor after the server was killed", LIMIT, async () => {
  const states = [];
  const client = await server.client();
  const run = await client.agents.run({
    prompt: "say: Before.\nbash: echo one\nslow: 100 40\nbash: echo two\nsay: After.",
    onConnection: ({ state }) => states.push(state),
  });
  const events = [];
  let killed;
  for await (const event of run) {
    events.push(event);
    if (!killed && textOf(events).includes("word-5")) {
      killed = server.ask({ do: "kill" }).then(() => server.ask({ do: "start" }));
    }
  }
  await killed;
  assert.ok(killed, "the server was killed during the run");
  assertWhole(events);
  assert.equal(events.at(-1).status, "completed", inspect(events.at(-1)));
  assert.ok(states.includes("waiting"), states.join());
  assert.equal(states.at(-1), "closed");
  assert.deepEqual(events, await all(client.runs.stream(run.id)), "the streamed events equal the stored ones");
});

test("a client tool is answered across a crash of the server, and runs once", LIMIT, async () => {
  const client = await server.client();
  const calls = [];
  const weather = async (args) => {
    calls.push(args);
    await server.ask({ do: "kill" });
    await server.ask({ do: "start" });
    return { sky: "clear" };
  };
  const run = await client.agents.run({
    prompt: 'call: weather | {"city": "Rome", "days": 2}\nsay: Clear.',
    tools: [{ name: "weather", description: "Returns the weather.", run: weather }],
  });
  const events = await all(run);
  assertWhole(events);
  assert.deepEqual(calls, [{ city: "Rome", days: 2 }]);
  assert.equal(events.at(-1).status, "completed", inspect(events.at(-1)));
  assert.deepEqual(events.filter(({ type }) => type === "status").map(({ status }) => status), ["running", "waiting", "running", "completed"]);
  const [result] = events.filter(({ type }) => type === "tool_result");
  assert.deepEqual([result.name, result.text, result.isError], ["weather", '{"sky":"clear"}', false]);
  const [asked] = events.filter(({ type }) => type === "input_requested");
  const input = await client.inputs.get(asked.inputId);
  assert.equal(input.decision, "result");
  assert.ok(input.answeredAt instanceof Date);
  const again = await client.inputs.answer(run.id, { inputId: asked.inputId, decision: "result", text: "other" });
  assert.equal(again.inputs[0].text, '{"sky":"clear"}', "the first answer counts");
  assert.deepEqual(await all(run), events);
  assert.equal(calls.length, 1);
});

test("a question waits for its answer, and a stop ends the wait", LIMIT, async () => {
  const client = await server.client();
  const agent = await client.agents.create({ name: "Asks", agentpressTools: { ask_user: { enabled: true } } });
  const prompt = 'call: ask_user | {"question": "Which colour?", "choices": ["red", "blue"]}\nsay: Thanks.';
  const run = await client.agents.run({ agentId: agent.agentId, prompt });
  for await (const event of run) {
    if (event.type === "input_requested") {
      assert.deepEqual([event.kind, event.message, event.arguments.choices], ["question", "Which colour?", ["red", "blue"]]);
      const { items } = await client.inputs.listPending();
      assert.deepEqual(items.map(({ inputId, threadId }) => [inputId, threadId]), [[event.inputId, run.threadId]]);
      assert.deepEqual((await client.agents.listActive()).items.map(({ status }) => status), ["waiting"]);
      await client.inputs.answer(run.id, { inputId: event.inputId, decision: "answer", text: "blue" });
    }
  }
  assert.equal(await run.text(), "Thanks.");
  const stopped = await client.agents.run({ agentId: agent.agentId, prompt });
  for await (const event of stopped) {
    if (event.type === "status" && event.status === "waiting") {
      await stopped.stop();
    }
  }
  assert.equal((await stopped.wait()).status, "stopped");
  assert.deepEqual((await client.inputs.listPending()).items, []);
});

test("a stream resumes after a restart of the server", LIMIT, async () => {
  const client = await server.client();
  const run = await client.agents.run({ prompt: "slow: 60 40\nsay: After." });
  const events = [];
  let restarted;
  for await (const event of run) {
    events.push(event);
    if (!restarted && event.type === "message_delta") {
      restarted = server.ask({ do: "stop" }).then(() => server.ask({ do: "start" }));
    }
  }
  await restarted;
  assertWhole(events);
  assert.deepEqual(events, await all(client.runs.stream(run.id)));
  assert.equal((await run.wait()).status, events.at(-1).status);
});

test("repeatable calls are retried until the server is back", LIMIT, async () => {
  // 29 retries take longer than a slow restart of the server.
  const client = await server.client({}, { maxRetries: 29 });
  const key = newId();
  await server.ask({ do: "kill" });
  const asked = Promise.all([
    client.account.state(),
    client.agents.run({ prompt: "say: Once.", idempotencyKey: key }),
  ]);
  await server.ask({ do: "start" });
  const [state, run] = await asked;
  assert.equal(state.tierName, "free");
  assert.equal(await run.text(), "Once.");
  const again = await client.agents.run({ prompt: "say: Once.", idempotencyKey: key });
  assert.equal(again.id, run.id);
});

test("an unavailable server is an error after the last attempt", LIMIT, async () => {
  const states = [];
  // The time limits the retries: 20 of them would take a minute.
  const client = new Runyard({
    // No program listens on port 9.
    baseUrl: "http://127.0.0.1:9",
    token: "secret-token",
    maxRetries: 20,
    reconnectForMs: 300,
    onConnection: (state) => states.push(state),
  });
  const impatient = new Runyard({ baseUrl: "http://127.0.0.1:9", token: "secret-token", maxRetries: 1 });
  await assert.rejects(impatient.account.state(), { errorCode: "CONNECTION_LOST", kind: "unavailable" });
  await assert.rejects(all(client.runs.stream(newId())), { errorCode: "CONNECTION_LOST" });
  const waiting = states.filter(({ state }) => state === "waiting");
  assert.ok(waiting.length >= 2, inspect(states));
  assert.ok(waiting.every(({ retryInMs }) => retryInMs >= 50 && retryInMs <= 5_000));
});

/**
 * Starts a TCP proxy in front of the server. When the server sends data, the proxy calls `onBytes(connection, count)`
 * with the total bytes received on the connection. `onBytes` may freeze the connection, or return a number of bytes
 * after which the proxy resets it.
 */
async function proxied(onBytes) {
  const connections = new Set();
  const proxy = connectListener((client) => {
    const { hostname, port } = new URL(server.url);
    const upstream = connect(Number(port), hostname);
    const connection = { client, upstream, isFrozen: false };
    connections.add(connection);
    let count = 0;
    client.pipe(upstream);
    upstream.on("data", (data) => {
      const before = count;
      count += data.length;
      const most = onBytes(connection, count) ?? Infinity;
      if (count > most) {
        client.write(data.subarray(0, most - before), () => client.resetAndDestroy());
        upstream.destroy();
      } else if (!connection.isFrozen) {
        client.write(data);
      }
    });
    for (const socket of [client, upstream]) {
      socket.on("error", () => {});
      socket.on("close", () => {
        client.destroy();
        upstream.destroy();
      });
    }
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${proxy.address().port}`,
    close() {
      proxy.close();
      for (const { client } of connections) {
        client.destroy();
      }
    },
  };
}

test("a connection that is cut at any byte loses no events", LIMIT, async () => {
  let cuts = 0;
  const proxy = await proxied((_, count) => {
    // Cuts each connection after a different number of bytes, within a frame or between frames.
    const most = 900 + cuts * 37;
    if (count <= most || cuts >= 12) {
      return undefined;
    }
    cuts += 1;
    return most;
  });
  try {
    const { token } = await server.ask({ do: "token" });
    const client = new Runyard({ baseUrl: proxy.url, token });
    const run = await client.agents.run({ prompt: "slow: 300 5" });
    const events = await all(run);
    assertWhole(events);
    assert.equal(textOf(events), words(300));
    assert.ok(cuts >= 6, `${cuts} cuts`);
  } finally {
    proxy.close();
  }
});

test("a silent dead connection is detected", LIMIT, async () => {
  let frozen = 0;
  const proxy = await proxied((connection, count) => {
    if (count > 1_500 && frozen === 0) {
      frozen += 1;
      connection.isFrozen = true;
    }
  });
  try {
    const { token } = await server.ask({ do: "token" });
    const client = new Runyard({ baseUrl: proxy.url, token, silenceMs: 400 });
    const run = await client.agents.run({ prompt: "slow: 60 20" });
    const events = await all(run);
    assertWhole(events);
    assert.equal(textOf(events), words(60));
    assert.equal(frozen, 1);
  } finally {
    proxy.close();
  }
});

test("many runs share one stream and each is complete", LIMIT, async () => {
  const [counted, streams] = counting();
  const client = await server.client({ tier: "enterprise" }, { fetch: counted });
  const runs = await Promise.all(
    Array.from({ length: 8 }, (_, number) => client.agents.run({ prompt: `slow: 30 20\nsay: I am ${number}.` })),
  );
  const followed = await Promise.all(runs.map((run) => all(run)));
  for (const [number, events] of followed.entries()) {
    assertWhole(events);
    assert.ok(events.every((event) => event.agentRunId === runs[number].id));
    assert.match(textOf(events), new RegExp(`I am ${number}\\.$`));
  }
  assert.equal(streams.most, 1, "one stream at a time");

  const cursors = runs.map((run, number) => ({ agentRunId: run.id, afterSequence: number }));
  const mixed = await all(client.runs.streamMany(cursors));
  for (const [number, events] of followed.entries()) {
    assert.deepEqual(
      mixed.filter((event) => event.agentRunId === runs[number].id),
      events.slice(number),
    );
  }
  assert.equal(streams.most, 1);
});

test("an error of one run does not affect the others", LIMIT, async () => {
  const client = await server.client();
  const run = await client.agents.run({ prompt: "slow: 20 20" });
  const [good, bad] = await Promise.allSettled([all(run), all(client.runs.stream(newId()))]);
  assert.equal(bad.reason?.errorCode, "RUN_NOT_FOUND");
  assertWhole(good.value);
});

test("a slow reader does not block others and loses no events", LIMIT, async () => {
  const client = await server.client({ tier: "pro" });
  const [slow, fast] = await Promise.all([
    // With a shorter pause, several words could arrive in one event.
    client.agents.run({ prompt: "slow: 2000 8" }),
    client.agents.run({ prompt: "slow: 10 50\nsay: Done." }),
  ]);
  const seen = [];
  const reader = slow[Symbol.asyncIterator]();
  seen.push((await reader.next()).value);
  // Read the fast run to its end without reading the slow run.
  assertWhole(await all(fast));
  while ((await slow.get()).status === "running") {
    await pause(100);
  }
  for (let next = await reader.next(); !next.done; next = await reader.next()) {
    seen.push(next.value);
  }
  assertWhole(seen);
  assert.ok(seen.length > 1_024, "more events than the inbox holds");
  assert.equal(textOf(seen), words(2000));
});

test("a run can have two readers at once", LIMIT, async () => {
  const client = await server.client();
  const run = await client.agents.run({ prompt: "slow: 40 20" });
  const whole = [];
  let rest;
  for await (const event of run) {
    whole.push(event);
    if (event.sequence === 5) {
      rest = all(run.events({ afterSequence: 3 }));
    }
  }
  assertWhole(whole);
  assert.deepEqual(await rest, whole.slice(3));
});

test("a cursor at the end of a run gives no events, one beyond it is an error", LIMIT, async () => {
  const client = await server.client();
  const run = await client.agents.run({ prompt: "say: Short." });
  const { length } = await all(run);
  assert.deepEqual(await all(run.events({ afterSequence: length })), []);
  await assert.rejects(all(run.events({ afterSequence: length + 1 })), { errorCode: "CURSOR_BEYOND_END" });
  assert.equal((await all(run.events({ afterSequence: length - 1 }))).length, 1);
});

test("a run continues without a reader and ends when stopped", LIMIT, async () => {
  const [counted, streams] = counting();
  const client = await server.client({}, { fetch: counted });
  const run = await client.agents.run({ prompt: "sleep: 60" });
  for await (const event of run) {
    if (event.type === "message_delta") {
      break;
    }
  }
  assert.equal((await run.get()).status, "running");
  assert.equal(streams.open, 0, "the stream is closed");
  assert.deepEqual(
    (await client.agents.listActive().all()).map((active) => active.threadId),
    [run.threadId],
  );
  await run.stop();
  assert.equal((await run.wait({ timeoutMs: 30_000 })).status, "stopped");
  assert.deepEqual((await client.agents.listActive()).items, []);
});

test("wait resumes from the reader's cursor", LIMIT, async () => {
  // The cursor of each opened stream. In the request body, a frame header of five bytes precedes the message.
  const cursors = [];
  const looking = async (url, init) => {
    if (String(url).endsWith("/StreamRuns")) {
      const { runs } = fromBinary(StreamRunsRequestSchema, new Uint8Array(init.body).subarray(5));
      cursors.push(Number(runs[0].afterSequence));
    }
    return fetch(url, init);
  };
  const client = await server.client({}, { fetch: looking });
  const run = await client.agents.run({ prompt: "stream: 20\nsleep: 60" });
  assert.equal(run.cursor, 0);
  for await (const event of run) {
    if (event.type === "message_delta" && event.text.includes("word-19")) {
      break;
    }
  }
  const seen = run.cursor;
  assert.ok(seen >= 2, String(seen));
  const waited = run.wait({ timeoutMs: 60_000 });
  while (cursors.length < 2) {
    await pause(20);
  }
  await run.stop();
  assert.equal((await waited).status, "stopped");
  assert.deepEqual(cursors.slice(0, 2), [0, seen]);
  // To check whether a run has ended, the client requests the last event again, so such a stream starts one event
  // earlier.
  assert.ok(cursors.slice(1).every((cursor) => cursor >= seen - 1), String(cursors));
});

test("every method rejects with the reason of an abort", LIMIT, async () => {
  const [counted, streams] = counting();
  const client = await server.client({}, { fetch: counted });
  const run = await client.agents.run({ prompt: "sleep: 60" });
  const controller = new AbortController();
  const reason = new Error("enough");
  const followed = all(run.events({ signal: controller.signal }));
  const waited = run.wait({ signal: controller.signal });
  setTimeout(() => controller.abort(reason), 300);
  await assert.rejects(followed, reason);
  await assert.rejects(waited, reason);
  assert.equal(streams.open, 0);
  await assert.rejects(client.account.state({ signal: controller.signal }), reason);
  await assert.rejects(client.agents.run({ prompt: "x", signal: controller.signal }), reason);
  await assert.rejects(run.wait({ timeoutMs: 50 }), { name: "TimeoutError" });
  await run.stop();
});

test("closing the client ends its streams", LIMIT, async () => {
  const client = await server.client();
  const run = await client.agents.run({ prompt: "sleep: 60" });
  const followed = all(run);
  setTimeout(() => client.close(), 200);
  await assert.rejects(followed, { errorCode: "CANCELLED" });
  await run.stop();
});

test("large files are uploaded in chunks, across a crash of the server", LIMIT, async () => {
  const client = await server.client({ tier: "pro" }, { maxRetries: 29 });
  const folder = await mkdtemp(join(tmpdir(), "runyard-client-"));
  try {
    const path = join(folder, "large.bin");
    const content = new Uint8Array(6_000_000).map((_, position) => (position * 31 + (position >> 11)) & 0xff);
    await writeFile(path, content);
    const progress = [];
    let killed;
    const run = await client.agents.run({
      prompt: "bash: wc -c large.bin\nbash: mkdir output; cp large.bin output/; printf 'ä' > output/small.txt",
      files: [{ name: "large.bin", data: await openAsBlob(path) }],
      onUploadProgress: ({ sent, size }) => {
        progress.push(sent / size);
        if (!killed && sent > size / 2) {
          killed = server.ask({ do: "kill" }).then(() => server.ask({ do: "start" }));
        }
      },
    });
    await killed;
    assert.equal(progress[0], 0);
    assert.equal(progress.at(-1), 1);
    assert.deepEqual([...progress].sort((a, b) => a - b), progress, "progress never decreases");
    assert.ok(progress.length > 10);
    assert.equal((await run.wait()).status, "completed");
    const files = await run.files();
    assert.deepEqual(
      files.map((file) => [file.path, file.size]),
      [
        ["output/large.bin", 6_000_000],
        ["output/small.txt", 2],
      ],
    );
    assert.ok(Buffer.from(await files[0].read()).equals(content), "the downloaded content equals the uploaded one");
    assert.equal(await files[1].text(), "ä");
    const blob = await files[1].blob();
    assert.equal(blob.type, "text/plain");
    assert.equal(blob.size, 2);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("workspace files are written, listed and read", LIMIT, async () => {
  const client = await server.client();
  const run = await client.agents.run({ prompt: "say: Nothing.", files: [new File(["a,b"], "a.csv"), { name: "b.csv", data: "" }] });
  assert.equal(await run.text(), "Nothing.");
  assert.deepEqual(await run.files(), [], "the run created no files");
  const { sandboxId } = await run.get();
  const written = await client.sandboxes.write(sandboxId, "notes/c.txt", "hello");
  assert.deepEqual([written.path, written.size, written.modifiedAt instanceof Date], ["notes/c.txt", 5, true]);
  const paths = (await client.sandboxes.list(sandboxId, { recursive: true }).all()).map((file) => file.path);
  assert.deepEqual(paths, ["a.csv", "b.csv", "notes", "notes/c.txt", "output"]);
  const { contentType, chunks } = await client.sandboxes.open(sandboxId, "notes/c.txt");
  assert.equal(contentType, "text/plain");
  assert.equal(Buffer.concat(await all(chunks)).toString(), "hello");
  assert.equal((await client.sandboxes.open(sandboxId, "notes")).contentType, "application/x-tar");
  await assert.rejects(client.sandboxes.read(sandboxId, "none"), { errorCode: "FILE_NOT_FOUND", kind: "missing" });
});

test("an upload resumes from the server's offset", LIMIT, async () => {
  const client = await server.client();
  const data = new Uint8Array(1_500_000).fill(7);
  const controller = new AbortController();
  let uploadId;
  const { FileService } = await import("../dist/proto.js");
  uploadId = (await client.call(FileService.method.createUpload, { name: "x.bin", size: BigInt(data.length) })).uploadId;
  const half = { uploadId, offset: 0n, data: data.subarray(0, 700_000) };
  assert.equal((await client.call(FileService.method.uploadChunk, half)).received, 700_000n);
  const sent = [];
  const upload = await client.uploads.resume(uploadId, { name: "x.bin", data }, {
    signal: controller.signal,
    onProgress: (progress) => sent.push(progress.sent),
  });
  assert.equal(upload.complete, true);
  assert.equal(sent[0], 700_000);
});

test("awaiting a list gives a page, iterating gives all items", LIMIT, async () => {
  const client = await server.client({ tier: "pro" });
  for (const name of ["Aa", "Bb", "Cc"]) {
    await client.agents.create({ name });
  }
  const first = await client.agents.list({ pageSize: 2, orderBy: "name" });
  assert.deepEqual(first.items.map((agent) => agent.name), ["Aa", "Bb"]);
  const second = await client.agents.list({ pageSize: 2, orderBy: "name", pageToken: first.nextPageToken });
  assert.deepEqual([second.items.map((agent) => agent.name), second.nextPageToken], [["Cc"], ""]);
  const names = [];
  for await (const agent of client.agents.list({ pageSize: 1, orderBy: "name" })) {
    names.push(agent.name);
  }
  assert.deepEqual(names, ["Aa", "Bb", "Cc"]);
  assert.equal((await client.agents.list().all(2)).length, 2);
});

test("invalid arguments are rejected before the call", LIMIT, async () => {
  const client = await server.client();
  await assert.rejects(client.agents.create({ name: "Aa", nmae: 1 }), { kind: "invalid", message: /no field nmae/ });
  await assert.rejects(client.agents.create({ name: "Aa", customMcps: [{ name: "m", type: "ftp" }] }), {
    message: /ftp is not a valid McpTransport; expected one of: http, sse, stdio/,
  });
  await assert.rejects(client.agents.list({ pageSize: 1.5 }).all(), { name: /Error/ });
  await assert.rejects(client.account.usage({ createdAfter: "yesterday" }).all(), { message: /must be a Date/ });
  await assert.rejects(client.uploads.create({ name: "", data: "" }), { message: /needs a name/ });
  for (const baseUrl of ["nowhere", "ftp://127.0.0.1", "http://user:secret@127.0.0.1", ""]) {
    assert.throws(() => new Runyard({ baseUrl }), (error) => error.kind === "invalid" && !inspect(error).includes("secret"));
  }
});

test("a refused model is an error with typed details", LIMIT, async () => {
  const client = await server.client();
  const refused = await client.agents.run({ prompt: "x", modelName: "openai/gpt-5-nano" }).catch((error) => error);
  assert.ok(isRunyardError(refused));
  assert.deepEqual([refused.errorCode, refused.kind, refused.details], ["MODEL_ACCESS_DENIED", "not_in_plan", { tierName: "free" }]);
  assert.match(String(refused), /^RunyardError: MODEL_ACCESS_DENIED: Your current subscription/);
  const failed = await (await client.agents.run({ prompt: "fail: 401" })).text().catch((error) => error);
  assert.equal(failed.errorCode, "MODEL_CREDENTIALS_REFUSED");
});

test("usage entries have typed times and numbers", LIMIT, async () => {
  const client = await server.client();
  const since = new Date(Date.now() - 60_000);
  const run = await client.agents.run({ prompt: "usage: 1000 200\nsay: Costs." });
  await run.wait();
  const [entry] = await client.account.usage({ agentRunId: run.id, createdAfter: since }).all();
  assert.deepEqual([entry.inputTokens, entry.outputTokens, entry.estimated], [1000, 200, false]);
  assert.ok(entry.createdAt > since);
  const state = await client.call(AccountService.method.getAccountState, {});
  assert.equal(typeof state.microcredits, "bigint");
});

test("a message steers a run, and stays in the thread after the run", LIMIT, async () => {
  const client = await server.client({ tier: "pro" });
  const run = await client.agents.run({ prompt: "slow: 30 100\nbash: true\nsay: Not changed." });
  let message;
  const read = [];
  for await (const event of run) {
    if (event.type === "message_delta" && message === undefined) {
      message = await run.steer("say: Changed.");
    } else if (event.type === "user_message") {
      read.push([event.messageId, event.text]);
    }
  }
  assert.deepEqual([message.agentRunId, message.delivery], [run.id, "pending"]);
  assert.deepEqual(read, [[message.messageId, "say: Changed."]]);
  assert.match(await run.text(), /Changed\.$/);
  const late = await run.steer("say: Later.");
  assert.deepEqual([late.agentRunId, late.delivery], [undefined, undefined]);
});

test("a stream can include the events of subagents", LIMIT, async () => {
  const client = await server.client({ tier: "enterprise" });
  await client.agents.create({ name: "Researcher" });
  const lead = await client.agents.create({ name: "Lead", agentpressTools: { task: { enabled: true } } });
  const call = JSON.stringify({ agent: "Researcher", prompt: "say: Found it." });
  const run = await client.agents.run({ agentId: lead.agentId, prompt: `call: task | ${call}\nsay: Thanks.` });
  const said = new Map();
  let subagent;
  for await (const event of run.events({ includeChildren: true })) {
    if (event.type === "subagent_started") {
      subagent = event;
    } else if (event.type === "message" && event.text !== "") {
      said.set(event.agentRunId, event.text);
    }
  }
  assert.deepEqual([...said].sort(), [[run.id, "Thanks."], [subagent.subagentRunId, "Found it."]].sort());
  const [child] = await client.runs.list({ parentRunId: run.id });
  assert.deepEqual([child.agentRunId, child.threadId, child.parentRunId, child.parentToolCallId], [subagent.subagentRunId, subagent.threadId, run.id, subagent.toolCallId]);
  const alone = [];
  for await (const event of run) {
    alone.push(event.agentRunId);
  }
  assert.deepEqual([...new Set(alone)], [run.id], "by default, a stream has no events of subagents");
});

test("without a token the client says so before it sends a request", LIMIT, async () => {
  const nowhere = { baseUrl: "http://127.0.0.1:9", maxRetries: 0, reconnectForMs: 10 };
  for (const [token, message] of [
    [undefined, /^no token is set/],
    [() => "", /^the token function returned no token$/],
  ]) {
    const client = new Runyard({ ...nowhere, token });
    const expected = (error) => error.kind === "unauthenticated" && message.test(error.message);
    await assert.rejects(client.account.state(), expected);
    await assert.rejects(async () => {
      for await (const _ of client.runs.stream("00000000-0000-4000-8000-000000000000")) {
        assert.fail("an event");
      }
    }, expected);
  }
  // An empty token means that a proxy adds the token, so the client sends the request.
  await assert.rejects(new Runyard({ ...nowhere, token: "" }).account.state(), { errorCode: "CONNECTION_LOST" });
});

test("a page is iterable, and so is the whole list", LIMIT, async () => {
  const client = await server.client({ tier: "pro" });
  const run = await client.agents.run({ prompt: "sleep: 300" });
  const seen = [];
  for (const { agentRunId } of await client.agents.listActive()) {
    seen.push(agentRunId);
  }
  for await (const { agentRunId } of client.agents.listActive()) {
    seen.push(agentRunId);
  }
  assert.deepEqual(seen, [run.agentRunId, run.agentRunId]);
  await run.stop();
  await run.wait();
  const page = await client.agents.listActive();
  assert.deepEqual([...page], []);
  assert.deepEqual(page, { items: [], nextPageToken: "" });
});

test("a token function is called again when the server rejects its token", LIMIT, async () => {
  const { token } = await server.ask({ do: "token" });
  const handed = ["stale", token];
  let asked = 0;
  const client = new Runyard({ baseUrl: server.url, token: () => handed[Math.min(asked++, 1)] });
  assert.equal((await client.account.state()).tierName, "free");
  assert.equal(asked, 2);
  const run = await client.agents.run({ prompt: "say: Fresh." });
  assert.equal(await run.text(), "Fresh.");
  const stale = new Runyard({ baseUrl: server.url, token: async () => "stale" });
  await assert.rejects(stale.account.state(), { kind: "unauthenticated", message: "Not authenticated" });
});

test("the token appears in no error and no printed object", LIMIT, async () => {
  const token = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0.c2VjcmV0";
  const said = [];
  const collect = async (client) => {
    said.push(inspect(client, { depth: 9, showHidden: true }), JSON.stringify(client));
    const calls = [
      () => client.account.state(),
      () => all(client.runs.stream(newId())),
      () => client.agents.run({ prompt: "x" }),
    ];
    for (const call of calls) {
      const error = await call().then(
        () => assert.fail("an error was expected"),
        (thrown) => thrown,
      );
      assert.ok(error instanceof RunyardError, inspect(error));
      said.push(inspect(error, { depth: 9, showHidden: true }), JSON.stringify(error), error.stack);
    }
  };
  const short = { maxRetries: 0, reconnectForMs: 1 };
  await collect(new Runyard({ baseUrl: server.url, token, ...short }));
  await collect(new Runyard({ baseUrl: "http://127.0.0.1:9", token, ...short }));
  // If `Headers` received this invalid token, its error would contain the token.
  await collect(new Runyard({ baseUrl: server.url, token: `${token}\nnext`, ...short }));
  for (const text of said) {
    assert.ok(!text?.includes("c2VjcmV0"), text);
  }
});

test("a server that is not Runyard is reported without endless retries", LIMIT, async () => {
  const stranger = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": "text/html" });
    response.end("<h1>Hello</h1>");
  });
  await new Promise((resolve) => stranger.listen(0, "127.0.0.1", resolve));
  try {
    const client = new Runyard({ baseUrl: `http://127.0.0.1:${stranger.address().port}`, token: "t" });
    const error = await client.account.state().catch((thrown) => thrown);
    assert.ok(isRunyardError(error), inspect(error));
    assert.equal(error.errorCode, "UNIMPLEMENTED");
    assert.match(error.message, /not a Runyard server/);
  } finally {
    stranger.closeAllConnections();
    stranger.close();
  }
});

test("a path prefix and headers reach a proxy, and its failures are in plain words", LIMIT, async () => {
  const seen = new Set();
  let failing = 0;
  const proxy = createServer((request, response) => {
    seen.add(`${request.headers["x-team"]} ${request.url.split("/").slice(0, 3).join("/")}`);
    if (failing > 0) {
      request.resume();
      failing -= 1;
      response.writeHead(502, { "content-type": "text/html" });
      response.end("<h1>Bad gateway</h1>");
      return;
    }
    const { hostname, port } = new URL(server.url);
    const { method, headers } = request;
    const inner = forward({ hostname, port, method, headers, path: request.url.slice("/team/runyard".length) }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    response.on("close", () => inner.destroy());
    inner.on("error", () => response.destroy());
    request.pipe(inner);
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  try {
    const { token } = await server.ask({ do: "token" });
    const baseUrl = `http://127.0.0.1:${proxy.address().port}/team/runyard`;
    const client = new Runyard({ baseUrl, token, headers: { "X-Team": "blue" }, maxRetries: 2 });
    const run = await client.agents.run({ prompt: "say: Prefixed.", files: [{ name: "a.txt", data: "a" }] });
    assert.equal(await run.text(), "Prefixed.");
    assert.deepEqual([...seen], ["blue /team/runyard"]);
    failing = 2;
    assert.equal((await client.account.state()).tierName, "free");
    assert.equal(failing, 0, "two retries");
    const expected = {
      errorCode: "CONNECTION_LOST",
      message: `${baseUrl} answered with HTTP status 502; it is no Runyard server, or a proxy before it failed`,
    };
    failing = 4;
    await assert.rejects(client.account.state(), expected);
    assert.equal(failing, 1);
    failing = 3;
    await assert.rejects(all(client.runs.stream(run.id)), expected);
    assert.equal(failing, 0, "the limit holds for streams, too");
    assertWhole(await all(client.runs.stream(run.id)));
  } finally {
    proxy.closeAllConnections();
    proxy.close();
  }
});

test("failures of the connection are in plain words", LIMIT, async () => {
  const calls = [(client) => client.account.state(), (client) => all(client.runs.stream(newId()))];
  const closed = createServer();
  await new Promise((resolve) => closed.listen(0, "127.0.0.1", resolve));
  const nobody = `http://127.0.0.1:${closed.address().port}`;
  await new Promise((resolve) => closed.close(resolve));
  for (const [baseUrl, message] of [
    [nobody, `no server answers at ${nobody}; check the address (baseUrl)`],
    ["http://runyard.invalid", "the host of http://runyard.invalid is unknown"],
    [server.url.replace("http:", "https:"), /^no secure connection to https:/],
  ]) {
    const client = new Runyard({ baseUrl, token: "t", maxRetries: 0 });
    for (const call of calls) {
      await assert.rejects(call(client), { errorCode: "CONNECTION_LOST", message });
    }
  }
});

test("options that cannot work are refused", LIMIT, async () => {
  const options = { baseUrl: server.url, token: "t" };
  for (const [wrong, message] of [
    [{ headers: { Authorization: "Bearer secret" } }, /set `token` instead/],
    [{ headers: { "Content-Type": "x" } }, /must not contain "Content-Type"/],
    [{ headers: { "X-Team": "secret\r\nother: 1" } }, /"X-Team" must be printable/],
    [{ maxRetries: -1 }, /maxRetries/],
  ]) {
    assert.throws(() => new Runyard({ ...options, ...wrong }), (error) => message.test(error.message) && !error.message.includes("secret"));
  }
  assert.ok(new Runyard({ ...options, token: "", headers: { authorization: "Basic eDp5" } }));
});

test("5,000 deltas arrive in order", LIMIT, async () => {
  const client = await server.client();
  const run = await client.agents.run({ prompt: "stream: 5000" });
  await pause(1);
  const events = await all(run);
  assertWhole(events);
  assert.equal(textOf(events), words(5000));
});
