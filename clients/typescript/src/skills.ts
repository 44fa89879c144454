// Skills: folders of instructions and files that agents load.

import type { CallOptions, Channel } from "./channel.js";
import { SkillService, type Skill as WireSkill } from "./generated/runyard/v1/skills_pb.js";
import { Listing } from "./pages.js";
import type { Plain } from "./plain.js";
import type { FileInput, UploadProgress, Uploads } from "./uploads.js";

/** A skill, with one of its versions. */
export interface Skill extends Plain<WireSkill> {}

export class Skills {
  readonly #channel: Channel;
  readonly #uploads: Uploads;

  constructor(channel: Channel, uploads: Uploads) {
    this.#channel = channel;
    this.#uploads = uploads;
  }

  /** Creates a skill from a zip archive, or the next version of the skill with this name. */
  async create(
    archive: FileInput | { uploadId: string },
    options: CallOptions & { onUploadProgress?: ((progress: UploadProgress) => void) | undefined } = {},
  ): Promise<Skill> {
    const { onUploadProgress, ...call } = options;
    const upload = "uploadId" in archive ? archive : await this.#uploads.create(archive, { ...call, onProgress: onUploadProgress });
    return this.#channel.call(SkillService.method.createSkill, { files: [upload.uploadId] }, call);
  }

  /** Returns a skill with the instructions and files of a version, by default the current version. */
  get(skillId: string, query: { version?: number | undefined } & CallOptions = {}): Promise<Skill> {
    const { version, ...call } = query;
    return this.#channel.callSafely(SkillService.method.getSkill, { skillId, version }, call);
  }

  /** Lists the caller's skills, newest first. */
  list(query: { pageSize?: number; pageToken?: string } & CallOptions = {}): Listing<Skill> {
    const { signal, timeoutMs, pageSize, pageToken: first } = query;
    return new Listing(async (pageToken = first) => {
      const request = { pageSize, pageToken };
      const page = await this.#channel.callSafely(SkillService.method.listSkills, request, { signal, timeoutMs });
      return { items: page.skills, nextPageToken: page.nextPageToken };
    });
  }

  /** Deletes one version of a skill or, without `version`, the whole skill. */
  async delete(skillId: string, query: { version?: number | undefined } & CallOptions = {}): Promise<void> {
    const { version, ...call } = query;
    await this.#channel.call(SkillService.method.deleteSkill, { skillId, version }, call);
  }
}
