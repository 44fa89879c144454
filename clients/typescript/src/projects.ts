// Projects: a workspace with its threads.

import type { CallOptions, Door } from "./door.js";
import { ProjectService, type Project as WireProject } from "./generated/runyard/v1/projects_pb.js";
import { Listing } from "./pages.js";
import type { Plain } from "./plain.js";

/** A project. */
export interface Project extends Plain<WireProject> {}

export class Projects {
  readonly #door: Door;

  constructor(door: Door) {
    this.#door = door;
  }

  /** Returns a project. */
  get(projectId: string, options?: CallOptions): Promise<Project> {
    return this.#door.callSafely(ProjectService.method.getProject, { projectId }, options);
  }

  /** Lists the caller's projects, most recently active first. */
  list(query: { pageSize?: number; pageToken?: string } & CallOptions = {}): Listing<Project> {
    const { signal, timeoutMs, pageSize, pageToken: first } = query;
    return new Listing(async (pageToken = first) => {
      const request = { pageSize, pageToken };
      const page = await this.#door.callSafely(ProjectService.method.listProjects, request, { signal, timeoutMs });
      return { items: page.projects, nextPageToken: page.nextPageToken };
    });
  }

  /** Deletes a project with its threads, runs and files. */
  async delete(projectId: string, options?: CallOptions): Promise<void> {
    await this.#door.call(ProjectService.method.deleteProject, { projectId }, options);
  }
}
