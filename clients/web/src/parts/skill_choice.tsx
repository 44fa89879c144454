// An editor for an agent's skills and their versions.
import type { AgentVersion } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { loadSkills, skills } from "../stores/skills";
import { RefusalNote } from "./basic";

export type AgentSkill = AgentVersion["skills"][number];

const MAX_SKILLS = 32;

export function SkillChoice({ chosen, onChange }: { chosen: AgentSkill[]; onChange: (chosen: AgentSkill[]) => void }) {
  useEffect(() => void loadSkills(), []);
  const { value, refused } = skills.state.value;
  const stored = value ?? [];
  // A deleted skill stays in the list, so that the user can remove it from the agent.
  const gone = value ? chosen.filter((skill) => !stored.some((other) => other.name === skill.name)) : [];
  const find = (name: string) => chosen.find((skill) => skill.name === name);
  const remove = (name: string) => onChange(chosen.filter((skill) => skill.name !== name));
  const replace = (name: string, version: number | undefined) =>
    onChange(chosen.map((skill) => (skill.name === name ? named(name, version) : skill)));
  return (
    <>
      {refused && <RefusalNote explained={refused} onAgain={() => void loadSkills()} />}
      {value?.length === 0 && gone.length === 0 && (
        <p class="small dim">
          You have no skills yet. <a href="#/skills">Upload one</a> first.
        </p>
      )}
      <ul class="tool-list">
        {stored.map((skill) => {
          const own = find(skill.name);
          return (
            <li key={skill.skillId}>
              <label class="check">
                <input
                  type="checkbox"
                  checked={own !== undefined}
                  disabled={own === undefined && chosen.length >= MAX_SKILLS}
                  onChange={(event) => (event.currentTarget.checked ? onChange([...chosen, named(skill.name, undefined)]) : remove(skill.name))}
                />
                <span>
                  <code>{skill.name}</code> <span class="small dim tool-about">{skill.description}</span>
                </span>
              </label>
              {own && (
                <select
                  aria-label={`Version of ${skill.name}`}
                  value={String(own.version ?? "")}
                  onChange={(event) => replace(skill.name, Number(event.currentTarget.value) || undefined)}
                >
                  <option value="">Current version ({skill.currentVersion})</option>
                  {versions(skill.currentVersion, own.version).map((version) => (
                    <option key={version} value={version}>
                      Version {version}
                    </option>
                  ))}
                </select>
              )}
            </li>
          );
        })}
        {gone.map((skill) => (
          <li key={skill.name}>
            <label class="check">
              <input type="checkbox" checked onChange={() => remove(skill.name)} />
              <span>
                <code>{skill.name}</code> <span class="small dim">was deleted; runs continue without it</span>
              </span>
            </label>
          </li>
        ))}
      </ul>
    </>
  );
}

function named(name: string, version: number | undefined): AgentSkill {
  return version === undefined ? { name } : { name, version };
}

function versions(current: number, chosen: number | undefined): number[] {
  return [...new Set([current, ...(chosen === undefined ? [] : [chosen])])].sort((left, right) => right - left);
}
