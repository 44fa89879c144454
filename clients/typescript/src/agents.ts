// Manages agents and their versions, and starts runs.

import type { JsonObject } from "@bufbuild/protobuf";
import type { CallOptions, Channel } from "./channel.js";
import type { Feed, OnConnection } from "./follow.js";
import {
  AgentService,
  UpdateAgentRequestSchema,
  type Agent as WireAgent,
  type AgentTool as WireTool,
  type AgentVersion as WireVersion,
  type ApprovalSettings as WireApprovals,
  type CompareAgentVersionsResponse,
  type CreateAgentRequest,
  type CreateAgentVersionRequest,
  type GenerateAgentIconResponse,
  type McpServer as WireServer,
  type TestMcpServerResponse,
  type ListAgentsRequest,
  type ListAgentToolsResponse,
  type UpdateAgentRequest,
} from "./generated/runyard/v1/agents_pb.js";
import { RunService, type Mode as WireMode, type StartRunRequest } from "./generated/runyard/v1/runs_pb.js";
import { newId } from "./ids.js";
import { maskOf, type Changes } from "./mask.js";
import { jsonSchemaOf, type OutputSchema } from "./output.js";
import { Listing } from "./pages.js";
import type { Input, Plain } from "./plain.js";
import { Run } from "./run.js";
import type { RunRecord } from "./runs.js";
import type { Sandboxes } from "./sandboxes.js";
import { declarations, type ClientTool } from "./tools.js";
import type { FileInput, UploadProgress, Uploads } from "./uploads.js";

/** An agent with its current version. */
export interface Agent extends Plain<WireAgent> {}
/** One version of an agent: all settings that affect its runs. */
export interface AgentVersion extends Plain<WireVersion> {}
/** Which tool calls run at once, and which ones wait for an approval. */
export interface ApprovalSettings extends Plain<WireApprovals> {}
/** A tool, and whether the agent may use it. */
export interface AgentTool extends Plain<WireTool> {}
/** The tools of an agent, and its MCP servers that cannot be used. */
export interface AgentTools extends Plain<ListAgentToolsResponse> {}
/** A mode: the tools, the instructions and the budget of a run. */
export interface Mode extends Plain<WireMode> {}
/** The result of testing an MCP server: its tools, or the reason why it cannot be used. */
export interface McpServerTrial extends Plain<TestMcpServerResponse> {}
export interface AgentComparison extends Plain<CompareAgentVersionsResponse> {}
/** An icon and its colours, suggested by the server. */
export interface AgentIcon extends Plain<GenerateAgentIconResponse> {}

export type NewAgent = Input<CreateAgentRequest> & { name: string };
/** Changes to an agent. An omitted field stays unchanged. Null or an empty list clears a field. */
export type AgentChanges = Changes<Omit<Input<UpdateAgentRequest>, "agentId" | "updateMask" | "expectedVersionId">> & {
  /**
   * UUID of the version that the caller expects to be current. The server refuses the change if another version is
   * current.
   */
  expectedVersionId?: string | undefined;
};
/** The fields of a new version. An omitted field is copied from the current version. */
export type NewAgentVersion = Omit<Input<CreateAgentVersionRequest>, "agentId">;

/** A built-in mode, or a mode of the server's configuration. */
export type ModeName = "code" | "chat" | "plan" | (string & {});
export type ReasoningEffort = "none" | "minimal" | "low" | "medium" | "high";

type StartFields = Omit<Input<StartRunRequest>, "files" | "requestId" | "emitTiming" | "tools" | "outputSchema" | "mode" | "reasoningEffort">;

export interface RunOptions<T = JsonObject> extends StartFields {
  /** Mode, which determines the tools, the instructions and the budget of the run; "code" by default. */
  mode?: ModeName | undefined;
  /** Reasoning effort of the model. Models without one ignore it. */
  reasoningEffort?: ReasoningEffort | undefined;
  /** Files that the server puts into /workspace: files to upload, or ids of complete uploads. */
  files?: readonly (FileInput | { uploadId: string })[] | undefined;
  /**
   * Tools that the caller runs, up to 64. While the run's stream is read, the client runs the functions of the tools and
   * answers their calls.
   */
  tools?: readonly ClientTool[] | undefined;
  /**
   * Form of the final answer: a Zod schema, another Standard Schema, or a JSON schema. `run.output()` returns the answer.
   */
  output?: OutputSchema<T> | undefined;
  /**
   * The idempotency key. A retry with the same key within 24 hours returns the same run. By default, a new UUID; with
   * `optimistic`, the thread's UUID.
   */
  idempotencyKey?: string | undefined;
  /** Aborts the call. A run that has started continues. */
  signal?: AbortSignal | undefined;
  /** Timeout of one attempt of a call, in milliseconds. Overrides the timeout of the client. */
  timeoutMs?: number | undefined;
  /** Called before the first chunk and after every chunk of an upload. */
  onUploadProgress?: ((progress: UploadProgress) => void) | undefined;
  /** Called when the run's stream connects or disconnects. */
  onConnection?: OnConnection | undefined;
}

export class Agents {
  readonly #channel: Channel;
  readonly #feed: Feed;
  readonly #uploads: Uploads;
  readonly #sandboxes: Sandboxes;

  constructor(channel: Channel, feed: Feed, uploads: Uploads, sandboxes: Sandboxes) {
    this.#channel = channel;
    this.#feed = feed;
    this.#uploads = uploads;
    this.#sandboxes = sandboxes;
  }

  create(agent: NewAgent, options?: CallOptions): Promise<Agent> {
    return this.#channel.call(AgentService.method.createAgent, agent, options);
  }

  /** Returns an agent with its current version. */
  get(agentId: string, options?: CallOptions): Promise<Agent> {
    return this.#channel.callSafely(AgentService.method.getAgent, { agentId }, options);
  }

  list(query: Input<ListAgentsRequest> & CallOptions = {}): Listing<Agent> {
    const { signal, timeoutMs, ...fields } = query;
    return new Listing(async (pageToken = fields.pageToken) => {
      const request = { ...fields, pageToken };
      const page = await this.#channel.callSafely(AgentService.method.listAgents, request, { signal, timeoutMs });
      return { items: page.agents, nextPageToken: page.nextPageToken };
    });
  }

  /** Changes an agent. Changes of the prompt, model, MCP servers, tools, skills or memory create a new version. */
  update(agentId: string, changes: AgentChanges, options?: CallOptions): Promise<Agent> {
    const { expectedVersionId, ...changed } = changes;
    const updateMask = maskOf(UpdateAgentRequestSchema, changed);
    const request = { ...changed, agentId, expectedVersionId, updateMask };
    return this.#channel.call(AgentService.method.updateAgent, request, options);
  }

  /** Deletes an agent and its memories. Its runs and threads stay readable. */
  async delete(agentId: string, options?: CallOptions): Promise<void> {
    await this.#channel.call(AgentService.method.deleteAgent, { agentId }, options);
  }

  /** Suggests an icon and colours for an agent's name. */
  generateIcon(name: string, options?: CallOptions): Promise<AgentIcon> {
    return this.#channel.call(AgentService.method.generateAgentIcon, { name }, options);
  }

  /** Returns the tools, whether the agent's current version may use them, and the unavailable MCP servers. */
  listTools(agentId: string, options?: CallOptions): Promise<AgentTools> {
    return this.#channel.callSafely(AgentService.method.listAgentTools, { agentId }, options);
  }

  /** Connects to an MCP server and lists its tools, with the stored headers of the agent `agentId`. */
  testMcpServer(server: Input<WireServer>, agentId = "", options?: CallOptions): Promise<McpServerTrial> {
    return this.#channel.callSafely(AgentService.method.testMcpServer, { server, agentId }, options);
  }

  /** Lists the versions, newest first. */
  listVersions(agentId: string, query: { pageSize?: number; pageToken?: string } & CallOptions = {}): Listing<AgentVersion> {
    const { signal, timeoutMs, pageSize, pageToken: first } = query;
    return new Listing(async (pageToken = first) => {
      const request = { agentId, pageSize, pageToken };
      const page = await this.#channel.callSafely(AgentService.method.listAgentVersions, request, { signal, timeoutMs });
      return { items: page.versions, nextPageToken: page.nextPageToken };
    });
  }

  getVersion(agentId: string, versionId: string, options?: CallOptions): Promise<AgentVersion> {
    return this.#channel.callSafely(AgentService.method.getAgentVersion, { agentId, versionId }, options);
  }

  /** Creates the next version and makes it current. */
  createVersion(agentId: string, version: NewAgentVersion, options?: CallOptions): Promise<AgentVersion> {
    return this.#channel.call(AgentService.method.createAgentVersion, { ...version, agentId }, options);
  }

  activateVersion(agentId: string, versionId: string, options?: CallOptions): Promise<Agent> {
    return this.#channel.callSafely(AgentService.method.activateAgentVersion, { agentId, versionId }, options);
  }

  /** Copies an earlier version to a new version, which becomes current. */
  rollbackVersion(agentId: string, versionId: string, options?: CallOptions): Promise<Agent> {
    return this.#channel.call(AgentService.method.rollbackAgentVersion, { agentId, versionId }, options);
  }

  /** Returns the fields that differ between two versions. */
  compareVersions(
    agentId: string,
    versionId: string,
    otherVersionId: string,
    options?: CallOptions,
  ): Promise<AgentComparison> {
    const request = { agentId, versionId, otherVersionId };
    return this.#channel.callSafely(AgentService.method.compareAgentVersions, request, options);
  }

  /** Returns the modes in which a run can be started. */
  async listModes(options?: CallOptions): Promise<Mode[]> {
    return (await this.#channel.callSafely(RunService.method.listModes, {}, options)).modes;
  }

  /** Uploads the files and starts a run. The run continues in the background, even if no client reads its events. */
  async run<T = JsonObject>(options: RunOptions<T>): Promise<Run<T>> {
    const { files = [], tools = [], output, idempotencyKey, signal, timeoutMs, onUploadProgress, onConnection, ...request } =
      options;
    const outputSchema = output && jsonSchemaOf(output);
    const call = { signal, timeoutMs };
    // Parallel uploads over one connection would not be faster.
    const sent: string[] = [];
    for (const file of files) {
      const upload = "uploadId" in file ? file : await this.#uploads.create(file, { ...call, onProgress: onUploadProgress });
      sent.push(upload.uploadId);
    }
    const requestId = idempotencyKey ?? (request.optimistic ? undefined : newId());
    const start = { ...request, files: sent, tools: declarations(tools), outputSchema, requestId };
    const started = await this.#channel.callSafely(RunService.method.startRun, start, call);
    return new Run(this.#channel, this.#feed, this.#sandboxes, { ...started, onConnection, tools, output });
  }

  /** Lists the caller's active runs, newest first. */
  listActive(query: { pageSize?: number; pageToken?: string } & CallOptions = {}): Listing<RunRecord> {
    const { signal, timeoutMs, pageSize, pageToken: first } = query;
    return new Listing(async (pageToken = first) => {
      const request = { pageSize, pageToken };
      const page = await this.#channel.callSafely(RunService.method.listActiveRuns, request, { signal, timeoutMs });
      return { items: page.activeRuns, nextPageToken: page.nextPageToken };
    });
  }
}
