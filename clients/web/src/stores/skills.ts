// The skills of the account.
import type { Skill } from "@runyard/client";
import { runyard } from "../client";
import { Loadable } from "./loaded";

const MAX_SKILLS = 200;

/** Current versions, newest first. */
export const skills = new Loadable<readonly Skill[]>();

export function loadSkills(): Promise<void> {
  return skills.load(() => runyard().skills.list({ pageSize: MAX_SKILLS }).all(MAX_SKILLS));
}
