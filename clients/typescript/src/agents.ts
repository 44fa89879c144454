// Agents, their versions, and the runs that they do.

import type { CallOptions, Door } from "./door.js";
import type { Feed, OnConnection } from "./follow.js";
import {
  AgentService,
  UpdateAgentRequestSchema,
  type Agent as WireAgent,
  type AgentTool as WireTool,
  type AgentVersion as WireVersion,
  type CompareAgentVersionsResponse,
  type CreateAgentRequest,
  type CreateAgentVersionRequest,
  type GenerateAgentIconResponse,
  type ListAgentsRequest,
  type UpdateAgentRequest,
} from "./generated/runyard/v1/agents_pb.js";
import { RunService, type StartRunRequest } from "./generated/runyard/v1/runs_pb.js";
import { newId } from "./ids.js";
import { maskOf, type Changes } from "./mask.js";
import { Listing } from "./pages.js";
import type { Input, Plain } from "./plain.js";
import { Run } from "./run.js";
import type { RunRecord } from "./runs.js";
import type { Sandboxes } from "./sandboxes.js";
import type { FileInput, UploadProgress, Uploads } from "./uploads.js";

/** An agent with its current version. */
export interface Agent extends Plain<WireAgent> {}
/** Everything that decides how an agent runs. */
export interface AgentVersion extends Plain<WireVersion> {}
/** A tool that an agent may use. */
export interface AgentTool extends Plain<WireTool> {}
/** What differs between two versions. */
export interface AgentComparison extends Plain<CompareAgentVersionsResponse> {}
/** A suggested icon. */
export interface AgentIcon extends Plain<GenerateAgentIconResponse> {}

/** A new agent. */
export type NewAgent = Input<CreateAgentRequest> & { name: string };
/** What to change about an agent: the keys that are there change; null and empty lists clear. */
export type AgentChanges = Changes<Omit<Input<UpdateAgentRequest>, "agentId" | "updateMask" | "expectedVersionId">> & {
  /** The version that the caller believes is current; the change is refused when another is. */
  expectedVersionId?: string | undefined;
};
/** A new version; what is left out is the current version's. */
export type NewAgentVersion = Omit<Input<CreateAgentVersionRequest>, "agentId">;

/** What a run is asked to do. */
export interface RunOptions extends Omit<Input<StartRunRequest>, "files" | "requestId" | "emitTiming"> {
  /** Files for the agent, which finds them in /workspace: to send along, or uploads that are complete. */
  files?: readonly (FileInput | { uploadId: string })[] | undefined;
  /**
   * A retry with the same key answers with the same run, for 24 hours. When none is given one is made; in optimistic
   * mode the thread's UUID serves as one.
   */
  idempotencyKey?: string | undefined;
  /** Ends the call; it does not stop a run that has started. */
  signal?: AbortSignal | undefined;
  /** The deadline of one attempt, in milliseconds. */
  timeoutMs?: number | undefined;
  /** Is told how far the files are. */
  onUploadProgress?: ((progress: UploadProgress) => void) | undefined;
  /** Is told how the stream stands when the run is followed. */
  onConnection?: OnConnection | undefined;
}

export class Agents {
  readonly #door: Door;
  readonly #feed: Feed;
  readonly #uploads: Uploads;
  readonly #sandboxes: Sandboxes;

  constructor(door: Door, feed: Feed, uploads: Uploads, sandboxes: Sandboxes) {
    this.#door = door;
    this.#feed = feed;
    this.#uploads = uploads;
    this.#sandboxes = sandboxes;
  }

  /** Creates an agent with its first version. */
  create(agent: NewAgent, options?: CallOptions): Promise<Agent> {
    return this.#door.call(AgentService.method.createAgent, agent, options);
  }

  /** One agent with its current version. */
  get(agentId: string, options?: CallOptions): Promise<Agent> {
    return this.#door.callSafely(AgentService.method.getAgent, { agentId }, options);
  }

  /** The caller's agents. */
  list(query: Input<ListAgentsRequest> & CallOptions = {}): Listing<Agent> {
    const { signal, timeoutMs, ...asked } = query;
    return new Listing(async (pageToken = asked.pageToken) => {
      const request = { ...asked, pageToken };
      const page = await this.#door.callSafely(AgentService.method.listAgents, request, { signal, timeoutMs });
      return { items: page.agents, nextPageToken: page.nextPageToken };
    });
  }

  /** Changes an agent; a change of prompt, model, MCP servers or tools makes a new version. */
  update(agentId: string, changes: AgentChanges, options?: CallOptions): Promise<Agent> {
    const { expectedVersionId, ...changed } = changes;
    const updateMask = maskOf(UpdateAgentRequestSchema, changed);
    const request = { ...changed, agentId, expectedVersionId, updateMask };
    return this.#door.call(AgentService.method.updateAgent, request, options);
  }

  /** Deletes an agent; its runs and threads stay readable. */
  async delete(agentId: string, options?: CallOptions): Promise<void> {
    await this.#door.call(AgentService.method.deleteAgent, { agentId }, options);
  }

  /** Suggests an icon and colours for an agent's name. */
  generateIcon(name: string, options?: CallOptions): Promise<AgentIcon> {
    return this.#door.call(AgentService.method.generateAgentIcon, { name }, options);
  }

  /** The tools that an agent's current version may use. */
  async listTools(agentId: string, options?: CallOptions): Promise<AgentTool[]> {
    return (await this.#door.callSafely(AgentService.method.listAgentTools, { agentId }, options)).tools;
  }

  /** The versions of an agent, newest first. */
  listVersions(agentId: string, query: { pageSize?: number; pageToken?: string } & CallOptions = {}): Listing<AgentVersion> {
    const { signal, timeoutMs, pageSize, pageToken: first } = query;
    return new Listing(async (pageToken = first) => {
      const request = { agentId, pageSize, pageToken };
      const page = await this.#door.callSafely(AgentService.method.listAgentVersions, request, { signal, timeoutMs });
      return { items: page.versions, nextPageToken: page.nextPageToken };
    });
  }

  /** One version of an agent. */
  getVersion(agentId: string, versionId: string, options?: CallOptions): Promise<AgentVersion> {
    return this.#door.callSafely(AgentService.method.getAgentVersion, { agentId, versionId }, options);
  }

  /** Adds a version and makes it the current one. */
  createVersion(agentId: string, version: NewAgentVersion, options?: CallOptions): Promise<AgentVersion> {
    return this.#door.call(AgentService.method.createAgentVersion, { ...version, agentId }, options);
  }

  /** Makes an existing version the current one. */
  activateVersion(agentId: string, versionId: string, options?: CallOptions): Promise<Agent> {
    return this.#door.callSafely(AgentService.method.activateAgentVersion, { agentId, versionId }, options);
  }

  /** Copies an earlier version into a new one and makes that the current one. */
  rollbackVersion(agentId: string, versionId: string, options?: CallOptions): Promise<Agent> {
    return this.#door.call(AgentService.method.rollbackAgentVersion, { agentId, versionId }, options);
  }

  /** What differs between two versions. */
  compareVersions(
    agentId: string,
    versionId: string,
    otherVersionId: string,
    options?: CallOptions,
  ): Promise<AgentComparison> {
    const request = { agentId, versionId, otherVersionId };
    return this.#door.callSafely(AgentService.method.compareAgentVersions, request, options);
  }

  /** Sends the files and starts a run; it works on whether anybody watches or not. */
  async run(asked: RunOptions): Promise<Run> {
    const { files = [], idempotencyKey, signal, timeoutMs, onUploadProgress, onConnection, ...request } = asked;
    const call = { signal, timeoutMs };
    // One after another: the order of the files is the caller's, and one connection is as fast as several.
    const sent: string[] = [];
    for (const file of files) {
      const upload = "uploadId" in file ? file : await this.#uploads.create(file, { ...call, onProgress: onUploadProgress });
      sent.push(upload.uploadId);
    }
    const requestId = idempotencyKey ?? (request.optimistic ? undefined : newId());
    const started = await this.#door.callSafely(RunService.method.startRun, { ...request, files: sent, requestId }, call);
    return new Run(this.#door, this.#feed, this.#sandboxes, { ...started, onConnection });
  }

  /** The caller's unfinished runs, newest first. */
  listActive(query: { pageSize?: number; pageToken?: string } & CallOptions = {}): Listing<RunRecord> {
    const { signal, timeoutMs, pageSize, pageToken: first } = query;
    return new Listing(async (pageToken = first) => {
      const request = { pageSize, pageToken };
      const page = await this.#door.callSafely(RunService.method.listActiveRuns, request, { signal, timeoutMs });
      return { items: page.activeRuns, nextPageToken: page.nextPageToken };
    });
  }
}
