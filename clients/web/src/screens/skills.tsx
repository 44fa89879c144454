// The account's skills: upload, versions and deletion.
import { Package, Trash2, Upload } from "lucide";
import { useSignal } from "@preact/signals";
import type { Skill } from "@runyard/client";
import { useEffect, useRef } from "preact/hooks";
import { runyard } from "../client";
import { explainError } from "../errors";
import { Confirm, Empty, Note, RefusalNote, Spinner } from "../parts/basic";
import { Icon } from "../parts/icon";
import { announce } from "../stores/announce";
import { loadSkills, skills } from "../stores/skills";
import { bytes, counted, day } from "../view/format";
import type { Explained } from "../view/refusal";

export function Skills() {
  const picker = useRef<HTMLInputElement>(null);
  const uploading = useSignal(false);
  const stored = useSignal<string | null>(null);
  const deleting = useSignal<Skill | null>(null);
  const refused = useSignal<Explained | null>(null);
  useEffect(() => {
    document.title = "Skills · Runyard";
    void loadSkills();
  }, []);
  const { value, refused: notLoaded, loading } = skills.state.value;
  const upload = async (file: File) => {
    uploading.value = true;
    refused.value = null;
    stored.value = null;
    try {
      const skill = await runyard().skills.create(file);
      stored.value = `Uploaded ${skill.name}, version ${skill.version}.`;
      announce(stored.value);
      await loadSkills();
    } catch (error) {
      refused.value = explainError(error);
    } finally {
      uploading.value = false;
    }
  };
  const remove = async (skill: Skill) => {
    deleting.value = null;
    try {
      await runyard().skills.delete(skill.skillId);
      announce(`Deleted ${skill.name}`);
      await loadSkills();
    } catch (error) {
      refused.value = explainError(error);
    }
  };
  return (
    <div class="page page-wide">
      <div class="page-head">
        <h1>Skills</h1>
        <button type="button" class="button button-primary push" disabled={uploading.value} onClick={() => picker.current?.click()}>
          <Icon of={Upload} size={17} />
          {uploading.value ? "Uploading" : "Upload a skill"}
        </button>
        <input
          ref={picker}
          class="unseen"
          type="file"
          accept=".zip,application/zip"
          aria-label="Zip archive of a skill"
          tabIndex={-1}
          onChange={(event) => {
            const file = event.currentTarget.files?.[0];
            event.currentTarget.value = "";
            if (file) void upload(file);
          }}
        />
      </div>
      {stored.value && (
        <Note kind="good" onClose={() => (stored.value = null)}>
          {stored.value}
        </Note>
      )}
      {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
      {notLoaded && <RefusalNote explained={notLoaded} onAgain={() => void loadSkills()} />}
      {!value && loading && <Spinner label="Loading skills" />}
      {value?.length === 0 && (
        <Empty title="No skills yet">
          <p>
            A skill is a folder with a file <code>SKILL.md</code>: instructions for a kind of task, with scripts and other files. Upload the
            folder as a zip archive, and then add the skill to an agent. Uploading a skill again creates its next version.
          </p>
        </Empty>
      )}
      <ul class="keys">
        {value?.map((skill) => (
          <li key={skill.skillId} class="key">
            <Icon of={Package} size={17} />
            <div>
              <strong>{skill.name}</strong> <span class="tag">version {skill.version}</span>
              <p class="small">{skill.description}</p>
              <p class="small dim">
                {bytes(skill.archiveBytes)}
                {skill.updatedAt && ` · uploaded ${day(skill.updatedAt)}`}
                {skill.license && ` · ${skill.license}`}
                {skill.allowedTools.length > 0 && ` · lists ${counted(skill.allowedTools.length, "allowed tool")}`}
              </p>
            </div>
            <button type="button" class="button button-small push" aria-label={`Delete ${skill.name}`} onClick={() => (deleting.value = skill)}>
              <Icon of={Trash2} size={15} />
              Delete
            </button>
          </li>
        ))}
      </ul>
      {deleting.value && (
        <Confirm title={`Delete ${deleting.value.name}?`} action="Delete" onConfirm={() => void remove(deleting.value!)} onClose={() => (deleting.value = null)}>
          <p>
            This permanently deletes the skill with all its versions. Agents that use it keep the entry, but their runs continue without the
            skill.
          </p>
        </Confirm>
      )}
    </div>
  );
}
