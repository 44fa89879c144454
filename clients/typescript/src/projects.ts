// Projects. A project is a workspace with its threads.

import type { CallOptions, Channel } from "./channel.js";
import { ProjectService, type Project as WireProject } from "./generated/runyard/v1/projects_pb.js";
import { Listing } from "./pages.js";
import type { Plain } from "./plain.js";

export interface Project extends Plain<WireProject> {}

export class Projects {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  get(projectId: string, options?: CallOptions): Promise<Project> {
    return this.#channel.callSafely(ProjectService.method.getProject, { projectId }, options);
  }

  /** Lists the caller's projects, most recently active first. */
  list(query: { pageSize?: number; pageToken?: string } & CallOptions = {}): Listing<Project> {
    const { signal, timeoutMs, pageSize, pageToken: first } = query;
    return new Listing(async (pageToken = first) => {
      const request = { pageSize, pageToken };
      const page = await this.#channel.callSafely(ProjectService.method.listProjects, request, { signal, timeoutMs });
      return { items: page.projects, nextPageToken: page.nextPageToken };
    });
  }

  /** Deletes a project, its threads, runs and files. */
  async delete(projectId: string, options?: CallOptions): Promise<void> {
    await this.#channel.call(ProjectService.method.deleteProject, { projectId }, options);
  }
}
