// Repeats the requests of tests/clients/golden.json through this package; see GOLDEN.md.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { newId, Runyard, RunyardError } from "../dist/index.js";
import * as proto from "../dist/proto.js";
import { Server } from "./server.mjs";

const exchanges = JSON.parse(readFileSync(new URL("../../../tests/clients/golden.json", import.meta.url), "utf8"));

const { FileService, SandboxService } = proto;

const CALLS = {
  "AgentService.CreateAgent": (client, asked) => client.agents.create(asked),
  "AgentService.GetAgent": (client, { agentId }) => client.agents.get(agentId),
  "AgentService.ListAgents": (client, asked) => page("agents", client.agents.list(asked)),
  "AgentService.UpdateAgent": (client, { agentId, ...changes }) => client.agents.update(agentId, changes),
  "AgentService.DeleteAgent": (client, { agentId }) => client.agents.delete(agentId),
  "AgentService.GenerateAgentIcon": (client, { name }) => client.agents.generateIcon(name),
  "AgentService.TestMcpServer": async (client, { server, agentId }) => client.agents.testMcpServer(server, agentId),
  "AgentService.ListAgentTools": (client, { agentId }) => client.agents.listTools(agentId),
  "AgentService.ListAgentVersions": (client, { agentId, ...asked }) =>
    page("versions", client.agents.listVersions(agentId, asked)),
  "AgentService.CreateAgentVersion": (client, { agentId, ...version }) => client.agents.createVersion(agentId, version),
  "AgentService.GetAgentVersion": (client, { agentId, versionId }) => client.agents.getVersion(agentId, versionId),
  "AgentService.ActivateAgentVersion": (client, { agentId, versionId }) =>
    client.agents.activateVersion(agentId, versionId),
  "AgentService.RollbackAgentVersion": (client, { agentId, versionId }) =>
    client.agents.rollbackVersion(agentId, versionId),
  "AgentService.CompareAgentVersions": (client, { agentId, versionId, otherVersionId }) =>
    client.agents.compareVersions(agentId, versionId, otherVersionId),
  "RunService.StartRun": async (client, { requestId, files = [], outputSchema, ...asked }) => {
    const sent = files.map((uploadId) => ({ uploadId }));
    const { agentRunId, threadId, projectId, sandboxId } = await client.agents.run({
      ...asked,
      files: sent,
      output: outputSchema,
      idempotencyKey: requestId,
    });
    // The run handle has no status. A started run is always "running".
    return { agentRunId, threadId, projectId, sandboxId, status: "running" };
  },
  "RunService.ListModes": async (client) => ({ modes: await client.agents.listModes() }),
  "RunService.GetRun": (client, { agentRunId }) => client.runs.get(agentRunId),
  "RunService.StopRun": (client, { agentRunId }) => client.runs.stop(agentRunId),
  "RunService.ListRuns": (client, asked) => page("agentRuns", client.runs.list(asked)),
  "RunService.ListActiveRuns": (client, asked) => page("activeRuns", client.agents.listActive(asked)),
  "InputService.AnswerInput": (client, { agentRunId, answers }) => client.inputs.answer(agentRunId, answers),
  "InputService.ListPendingInputs": (client, asked) => page("inputs", client.inputs.listPending(asked)),
  "InputService.GetInput": (client, { inputId }) => client.inputs.get(inputId),
  "ThreadService.CreateThread": (client, asked) => client.threads.create(asked),
  "ThreadService.GetThread": (client, { threadId }) => client.threads.get(threadId),
  "ThreadService.ListThreads": (client, asked) => page("threads", client.threads.list(asked)),
  "ThreadService.UpdateThread": (client, { threadId, ...changes }) => client.threads.update(threadId, changes),
  "ThreadService.SuggestThreadTitle": (client, { threadId }) => client.threads.suggestTitle(threadId),
  "ThreadService.DeleteThread": (client, { threadId }) => client.threads.delete(threadId),
  "ThreadService.ListMessages": (client, { threadId, ...asked }) =>
    page("messages", client.threads.listMessages(threadId, asked)),
  "ThreadService.AddMessage": (client, { threadId, ...message }) => client.threads.addMessage(threadId, message),
  "MemoryService.CreateMemory": (client, asked) => client.memories.create(asked),
  "MemoryService.GetMemory": (client, { memoryId }) => client.memories.get(memoryId),
  "MemoryService.ListMemories": (client, asked) => page("memories", client.memories.list(asked)),
  "MemoryService.UpdateMemory": (client, { memoryId, ...changes }) => client.memories.update(memoryId, changes),
  "MemoryService.DeleteMemory": (client, { memoryId }) => client.memories.delete(memoryId),
  "SecretService.CreateSecret": (client, asked) => client.secrets.create(asked),
  "SecretService.ListSecrets": (client, asked) => page("secrets", client.secrets.list(asked)),
  "SecretService.UpdateSecret": (client, { secretId, ...changes }) => client.secrets.update(secretId, changes),
  "SecretService.DeleteSecret": (client, { secretId }) => client.secrets.delete(secretId),
  "TriggerService.CreateTrigger": (client, asked) => client.triggers.create(asked),
  "TriggerService.GetTrigger": (client, { triggerId }) => client.triggers.get(triggerId),
  "TriggerService.ListTriggers": (client, asked) => page("triggers", client.triggers.list(asked)),
  "TriggerService.UpdateTrigger": (client, { triggerId, ...changes }) => client.triggers.update(triggerId, changes),
  "TriggerService.DeleteTrigger": (client, { triggerId }) => client.triggers.delete(triggerId),
  "TriggerService.RotateTriggerSecret": (client, { triggerId }) => client.triggers.rotateSecret(triggerId),
  "ShareService.CreateShare": (client, { threadId, ...share }) => client.shares.create(threadId, share),
  "ShareService.ListShares": (client, asked) => page("shares", client.shares.list(asked)),
  "ShareService.RevokeShare": (client, { shareId }) => client.shares.revoke(shareId),
  "ShareService.GetSharedThread": (client, { token }) => client.shares.getThread(token),
  "ShareService.ListSharedMessages": (client, { token, ...asked }) => page("messages", client.shares.listMessages(token, asked)),
  "ScheduleService.CreateSchedule": (client, asked) => client.schedules.create(asked),
  "ScheduleService.GetSchedule": (client, { scheduleId }) => client.schedules.get(scheduleId),
  "ScheduleService.ListSchedules": (client, asked) => page("schedules", client.schedules.list(asked)),
  "ScheduleService.UpdateSchedule": (client, { scheduleId, ...changes }) => client.schedules.update(scheduleId, changes),
  "ScheduleService.DeleteSchedule": (client, { scheduleId }) => client.schedules.delete(scheduleId),
  "ScheduleService.PauseSchedule": (client, { scheduleId }) => client.schedules.pause(scheduleId),
  "ScheduleService.ResumeSchedule": (client, { scheduleId }) => client.schedules.resume(scheduleId),
  "ScheduleService.RunScheduleNow": (client, { scheduleId, requestId }) =>
    client.schedules.runNow(scheduleId, { idempotencyKey: requestId }),
  "ScheduleService.ListScheduleRuns": (client, { scheduleId, ...asked }) => page("runs", client.schedules.runs(scheduleId, asked)),
  "WebhookService.CreateWebhook": (client, asked) => client.webhooks.create(asked),
  "WebhookService.GetWebhook": (client, { webhookId }) => client.webhooks.get(webhookId),
  "WebhookService.ListWebhooks": (client, asked) => page("webhooks", client.webhooks.list(asked)),
  "WebhookService.UpdateWebhook": (client, { webhookId, ...changes }) => client.webhooks.update(webhookId, changes),
  "WebhookService.DeleteWebhook": (client, { webhookId }) => client.webhooks.delete(webhookId),
  "WebhookService.RotateWebhookSecret": (client, { webhookId }) => client.webhooks.rotateSecret(webhookId),
  "WebhookService.TestWebhook": (client, { webhookId }) => client.webhooks.test(webhookId),
  "WebhookService.ListWebhookDeliveries": (client, { webhookId, ...asked }) =>
    page("deliveries", client.webhooks.deliveries(webhookId, asked)),
  "WebhookService.RedeliverWebhookDelivery": (client, { webhookId, deliveryId }) => client.webhooks.redeliver(webhookId, deliveryId),
  "ProjectService.GetProject": (client, { projectId }) => client.projects.get(projectId),
  "ProjectService.ListProjects": (client, asked) => page("projects", client.projects.list(asked)),
  "ProjectService.DeleteProject": (client, { projectId }) => client.projects.delete(projectId),
  "SandboxService.GetSandbox": (client, { sandboxId }) => client.sandboxes.get(sandboxId),
  "SandboxService.ListFiles": (client, { sandboxId, ...asked }) => page("files", client.sandboxes.list(sandboxId, asked)),
  "SandboxService.DeleteFile": (client, { sandboxId, path }) => client.sandboxes.delete(sandboxId, path),
  "SkillService.CreateSkill": (client, { archive }) =>
    client.skills.create({ name: "skill.zip", data: Buffer.from(archive, "base64") }),
  "SkillService.ListSkills": (client, asked) => page("skills", client.skills.list(asked)),
  "SkillService.GetSkill": (client, { skillId, version }) => client.skills.get(skillId, { version }),
  "SkillService.DeleteSkill": (client, { skillId, version }) => client.skills.delete(skillId, { version }),
  "AccountService.GetAccountState": (client) => client.account.state(),
  "AccountService.ListUsage": (client, asked) => page("entries", client.account.usage(asked)),
  "AccountService.CreateApiKey": (client, asked) => client.apiKeys.create(asked),
  "AccountService.ListApiKeys": (client, asked) => page("apiKeys", client.apiKeys.list(asked)),
  "AccountService.RevokeApiKey": (client, { keyId }) => client.apiKeys.revoke(keyId),
  // The client's `write` makes several API calls, so the test makes each call separately.
  "SandboxService.WriteFile": (client, asked) => client.call(SandboxService.method.writeFile, asked),
  "FileService.CreateUpload": (client, { name, size }) =>
    client.call(FileService.method.createUpload, { name, size: BigInt(size) }),
  "FileService.UploadChunk": (client, { uploadId, offset, data }) =>
    client.call(FileService.method.uploadChunk, { uploadId, offset: BigInt(offset), data: Buffer.from(data, "base64") }),
};

async function page(name, listing) {
  const { items, nextPageToken } = await listing;
  return { [name]: items, nextPageToken };
}

const CODES = {
  invalid: "INVALID_ARGUMENT",
  unauthenticated: "UNAUTHENTICATED",
  forbidden: "PERMISSION_DENIED",
  not_in_plan: "PERMISSION_DENIED",
  missing: "NOT_FOUND",
  existing: "ALREADY_EXISTS",
  conflicting: "FAILED_PRECONDITION",
  contended: "ABORTED",
  over_plan: "RESOURCE_EXHAUSTED",
  throttled: "RESOURCE_EXHAUSTED",
  too_large: "RESOURCE_EXHAUSTED",
};

/** Maps whose keys come from the caller and are not renamed. */
const MAPS = new Set(["agentpress_tools", "agentpressTools", "headers", "arguments", "edited_arguments", "editedArguments", "parameters", "schema", "metadata", "output_schema", "outputSchema", "output"]);

function renamed(value, rename) {
  if (Array.isArray(value)) {
    return value.map((item) => renamed(item, rename));
  }
  if (value instanceof Date) {
    return value.toISOString();
  }
  if (typeof value === "bigint") {
    return Number(value);
  }
  if (value === null || typeof value !== "object") {
    return value;
  }
  const entries = Object.entries(value).filter(([key]) => !key.startsWith("$"));
  return Object.fromEntries(entries.map(([key, item]) => [rename(key), MAPS.has(key) ? item : renamed(item, rename)]));
}

const camel = (key) => key.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const snake = (key) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const word = (value) =>
  String(value)
    .toLowerCase()
    .replace(/^(run_status|message_role|mcp_transport|notice_kind|api_key_scope|memory_scope|if_busy|input_kind|input_decision|tool_decision|stop_reason|message_delivery|webhook_delivery_status|schedule_overlap|schedule_run_outcome)_/, "");
const isEnum = (value) => /^(RUN_STATUS|MESSAGE_ROLE|MCP_TRANSPORT|API_KEY_SCOPE|MEMORY_SCOPE|IF_BUSY|INPUT_KIND|INPUT_DECISION|TOOL_DECISION|STOP_REASON|MESSAGE_DELIVERY|WEBHOOK_DELIVERY_STATUS|SCHEDULE_OVERLAP|SCHEDULE_RUN_OUTCOME)_/.test(value);

class Player {
  kept = {};
  clients = {};

  constructor(server) {
    this.server = server;
  }

  async play(exchange) {
    for (const [name, wanted] of Object.entries(exchange.callers ?? { me: {} })) {
      this.clients[name] = await this.server.client(wanted);
    }
    this.clients.nobody = new Runyard({ baseUrl: this.server.url, token: "" });
    for (const [number, step] of exchange.steps.entries()) {
      try {
        await this.step(step);
      } catch (error) {
        throw new Error(`step ${number + 1}: ${error}\n${JSON.stringify(step)}`, { cause: error });
      }
    }
  }

  client(name = "me") {
    this.clients[name] ??= new Runyard({ baseUrl: this.server.url, token: this.filled(name) });
    return this.clients[name];
  }

  async step(step) {
    let check;
    try {
      check = await this.ask(step, this.client(step.as));
    } catch (error) {
      if (!step.error || !(error instanceof RunyardError)) {
        throw error;
      }
      const seen = {
        code: CODES[error.kind],
        reason: error.errorCode,
        message: error.message,
        details: { message: error.message, error_code: error.errorCode, ...renamed(error.details, snake) },
        fields: error.details.fieldViolations?.map(({ field }) => field),
      };
      for (const [key, wanted] of Object.entries(step.error)) {
        // gRPC-Web has no HTTP status to compare.
        if (key !== "http") {
          this.match(wanted, seen[key], key);
        }
      }
      assert.ok(error.requestId, "an error has a request id");
      return;
    }
    assert.ok(!step.error, "an error was expected");
    check();
  }

  async ask(step, client) {
    if (step.upload) {
      const { uploadId } = await client.uploads.create({ name: step.upload.name, data: step.upload.text });
      this.kept[step.save] = uploadId;
      return () => {};
    }
    if (step.download) {
      const { sandbox_id, path } = this.filled(step.download);
      const text = await client.sandboxes.readText(sandbox_id, path);
      return () => this.match(step.text, text, "text");
    }
    if (step.stream) {
      const { agent_run_id: id, after_sequence: from = 0 } = this.filled(step.stream);
      let events = [];
      if (step.cut) {
        for await (const event of client.runs.stream(id, { afterSequence: from })) {
          events.push(event);
          if (events.length === step.cut) {
            break;
          }
        }
      }
      const rest = await all(client.runs.stream(id, { afterSequence: from + events.length }));
      if (step.cut) {
        assert.deepEqual([...events, ...rest], await all(client.runs.stream(id, { afterSequence: from })));
      }
      events = [...events, ...rest];
      return () => this.events(step.events, events, from);
    }
    const asked = renamed(this.filled(step.request), camel);
    const call = CALLS[step.call];
    assert.ok(call, `the player has no words for ${step.call}`);
    const answer = renamed((await call(client, asked)) ?? {}, snake);
    return () => this.match(step.answer ?? {}, answer, "answer");
  }

  events(wanted, events, from) {
    assert.deepEqual(
      events.map((event) => event.sequence),
      events.map((_, position) => from + position + 1),
    );
    const ends = events.filter((event) => event.type === "status" && !["running", "waiting"].includes(event.status));
    assert.deepEqual(ends, events.slice(-1), "one terminal event, at the end");
    const kinds = events.map((event) => event.type);
    const seen = {
      kinds: kinds.filter((kind, position) => kind !== kinds[position - 1]),
      text: events.map((event) => (event.type === "message_delta" ? event.text : "")).join(""),
      status: ends[0].status,
      error_code: ends[0].errorCode,
      has: events.map((event) => ({ [event.type]: renamed(event, snake) })),
    };
    for (const [key, expected] of Object.entries(wanted)) {
      this.match(key === "has" ? { $has: expected } : expected, seen[key], key);
    }
  }

  filled(value) {
    if (Array.isArray(value)) {
      return value.map((item) => this.filled(item));
    }
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.filled(item)]));
    }
    if (typeof value !== "string") {
      return value;
    }
    if (value.startsWith("$ref:")) {
      return this.kept[value.slice(5)];
    }
    if (value === "$new" || value.startsWith("$new:")) {
      const id = newId();
      this.kept[value.slice(5)] = id;
      return id;
    }
    return isEnum(value) ? word(value) : value;
  }

  match(wanted, seen, where) {
    if (wanted === null) {
      assert.ok(seen === undefined || seen === null, `${where}: ${seen} is there`);
    } else if (Array.isArray(wanted)) {
      assert.ok(Array.isArray(seen), `${where} is no list`);
      assert.equal(seen.length, wanted.length, `${where}: ${JSON.stringify(seen)}`);
      for (const [position, item] of wanted.entries()) {
        this.match(item, seen[position], `${where}[${position}]`);
      }
    } else if (typeof wanted === "object" && "$has" in wanted) {
      for (const item of wanted.$has) {
        const found = seen.some((one) => {
          try {
            this.match(item, one, where);
            return true;
          } catch {
            return false;
          }
        });
        assert.ok(found, `${where}: nothing like ${JSON.stringify(item)} in ${JSON.stringify(seen)}`);
      }
    } else if (typeof wanted === "object") {
      assert.ok(seen !== null && typeof seen === "object", `${where}: ${seen} is not an object`);
      for (const [key, item] of Object.entries(wanted)) {
        this.match(item, seen[key], `${where}.${key}`);
      }
    } else if (typeof wanted === "string" && wanted.startsWith("$")) {
      const [matcher, ...rest] = wanted.slice(1).split(":");
      assert.ok(this.fits(matcher, rest.join(":"), seen), `${where}: ${JSON.stringify(seen)} is not ${wanted}`);
    } else {
      assert.deepEqual(seen, wanted, where);
    }
  }

  fits(matcher, rest, seen) {
    switch (matcher) {
      case "save":
        this.kept[rest] = seen;
        return Boolean(seen);
      case "ref":
        return seen === this.kept[rest];
      case "uuid":
        return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(seen);
      case "time":
        return typeof seen === "string" && !Number.isNaN(Date.parse(seen));
      case "text":
        return typeof seen === "string" && seen !== "";
      case "contains":
        return typeof seen === "string" && seen.includes(rest);
      case "positive":
        return seen > 0;
      case "enum":
        return word(seen) === rest.toLowerCase();
      default:
        throw new Error(`no such matcher: $${matcher}`);
    }
  }
}

async function all(stream) {
  const events = [];
  for await (const event of stream) {
    events.push(event);
  }
  return events;
}

let server;
before(async () => {
  server = await Server.start();
});
after(() => server?.close());

for (const exchange of exchanges) {
  test(exchange.name, { timeout: 240_000 }, () => new Player(server).play(exchange));
}

/** Methods that the client does not wrap, each with the reason. */
const NOT_WRAPPED = {
  AdminService: "for administrators, who use the generated stubs or the command line",
  "RunService.StreamRun": "StreamRuns carries the events of one run as well",
};

test("the client wraps every method of the API", () => {
  const folder = new URL("../src/", import.meta.url);
  const sources = readdirSync(folder).filter((name) => name.endsWith(".ts"));
  const code = sources.map((name) => readFileSync(new URL(name, folder), "utf8")).join("\n");
  const services = Object.values(proto).filter((exported) => exported?.kind === "service");
  assert.ok(services.length >= 8, `only ${services.length} services are exported`);
  const missing = services.flatMap((service) =>
    service.methods
      .filter((method) => !(service.name in NOT_WRAPPED) && !(`${service.name}.${method.name}` in NOT_WRAPPED))
      .filter((method) => !code.includes(`${service.name}.method.${method.localName}`))
      .map((method) => `${service.name}.${method.name}`),
  );
  assert.deepEqual(missing, []);
});
