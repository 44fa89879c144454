// The account's schedules, with their next times and their history, and its triggers.
import { CalendarClock } from "lucide";
import { useSignal } from "@preact/signals";
import type { Schedule } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { Confirm, Empty, RefusalNote, Spinner } from "../parts/basic";
import { AgentField, ChoiceField, EditorDialog, LinesField, TextField } from "../parts/editor";
import { Icon } from "../parts/icon";
import { ListState, NewButton, RowButton, ShowMore, useActions } from "../parts/managed";
import { Triggers } from "../parts/triggers";
import { loadAgents } from "../stores/agents";
import { announce } from "../stores/announce";
import { history, loadHistory, loadMoreHistory, loadSchedules, moreHistory, schedules } from "../stores/schedules";
import { dayAndTime } from "../view/format";

const OVERLAPS = { skip: "Skip the new run", queue: "Queue the new run", replace: "Stop the earlier run" } as const;

export function Schedules() {
  const editing = useSignal<Schedule | "new" | null>(null);
  const open = useSignal<string | null>(null);
  const deleting = useSignal<Schedule | null>(null);
  const { refused, act } = useActions(loadSchedules);
  useEffect(() => {
    document.title = "Schedules · Runyard";
    void loadSchedules();
    void loadAgents();
  }, []);
  return (
    <div class="page page-wide">
      <div class="page-head">
        <h1>Schedules</h1>
        <NewButton label="New schedule" look="button-primary" onClick={() => (editing.value = "new")} />
      </div>
      <ListState of={schedules} what="schedules" refused={refused} load={loadSchedules}>
        <Empty title="No schedules yet">
          <p>A schedule starts a run at certain times, for example every Monday at eight.</p>
        </Empty>
      </ListState>
      <ul class="keys" aria-label="Schedules">
        {schedules.value?.map((schedule) => (
          <li key={schedule.scheduleId} class={schedule.paused ? "key key-over" : "key"}>
            <Icon of={CalendarClock} size={17} />
            <div>
              <strong>{schedule.name}</strong> <code class="dim">{schedule.cron}</code> <span class="small dim">{schedule.timeZone}</span>
              {schedule.paused && <p class="small">Paused{schedule.pausedReason && `: ${schedule.pausedReason}`}</p>}
              {schedule.nextRunTimes.length > 0 && (
                <>
                  <p class="small">Next runs, in your time zone:</p>
                  <ol class="small dim" aria-label="Next runs">
                    {schedule.nextRunTimes.map((time) => (
                      <li key={String(time)}>{dayAndTime(time)}</li>
                    ))}
                  </ol>
                </>
              )}
              <div class="dialog-actions">
                <RowButton
                  label="History"
                  of={schedule.name}
                  expanded={open.value === schedule.scheduleId}
                  onClick={() => (open.value = open.value === schedule.scheduleId ? null : schedule.scheduleId)}
                />
                <RowButton
                  label="Run now"
                  of={schedule.name}
                  onClick={() =>
                    void act("Run started", async () => {
                      await runyard().schedules.runNow(schedule.scheduleId);
                      open.value = schedule.scheduleId;
                      await loadHistory(schedule.scheduleId);
                    })
                  }
                />
                <RowButton
                  label={schedule.paused ? "Resume" : "Pause"}
                  of={schedule.name}
                  onClick={() =>
                    void act(schedule.paused ? "Schedule resumed" : "Schedule paused", () =>
                      schedule.paused ? runyard().schedules.resume(schedule.scheduleId) : runyard().schedules.pause(schedule.scheduleId),
                    )
                  }
                />
                <RowButton label="Edit" of={schedule.name} onClick={() => (editing.value = schedule)} />
                <RowButton label="Delete" of={schedule.name} onClick={() => (deleting.value = schedule)} />
              </div>
              {open.value === schedule.scheduleId && <History scheduleId={schedule.scheduleId} />}
            </div>
          </li>
        ))}
      </ul>
      <Triggers />
      {editing.value && (
        <Editor
          schedule={editing.value === "new" ? null : editing.value}
          onClose={() => (editing.value = null)}
          onSaved={() => {
            editing.value = null;
            announce("Schedule saved");
            void loadSchedules();
          }}
        />
      )}
      {deleting.value && (
        <Confirm
          title={`Delete ${deleting.value.name}?`}
          action="Delete"
          onClose={() => (deleting.value = null)}
          onConfirm={() => void act("Schedule deleted", () => runyard().schedules.delete(deleting.peek()!.scheduleId))}
        >
          <p>The schedule starts no more runs. Its history is deleted. Its runs and threads stay.</p>
        </Confirm>
      )}
    </div>
  );
}

function History({ scheduleId }: { scheduleId: string }) {
  useEffect(() => {
    history.clear();
    void loadHistory(scheduleId);
  }, [scheduleId]);
  const { value, refused, loading } = history.state.value;
  return (
    <section aria-label="History">
      {refused && <RefusalNote explained={refused} onAgain={() => void loadHistory(scheduleId)} />}
      {!value && loading && <Spinner label="Loading the history" />}
      {value?.length === 0 && <p class="small dim">No occurrences yet.</p>}
      <ul class="keys">
        {value?.map((run) => (
          <li key={`${String(run.occurrence)} ${run.manual}`} class="key">
            <div>
              {run.occurrence && dayAndTime(run.occurrence)} <span class="tag">{run.outcome}</span>
              {run.threadId && (
                <>
                  {" "}
                  <a href={`#/threads/${run.threadId}`}>Open thread</a>
                </>
              )}
              {run.manual && <span class="small dim"> started manually</span>}
              {run.message && <p class="small dim">{run.message}</p>}
            </div>
          </li>
        ))}
      </ul>
      <ShowMore token={moreHistory.value} loading={loading} onClick={() => void loadMoreHistory(scheduleId)} />
    </section>
  );
}

function Editor({ schedule, onClose, onSaved }: { schedule: Schedule | null; onClose: () => void; onSaved: () => void }) {
  const name = useSignal(schedule?.name ?? "");
  const cron = useSignal(schedule?.cron ?? "0 8 * * MON-FRI");
  const timeZone = useSignal(schedule?.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone);
  const prompt = useSignal(schedule?.prompt ?? "");
  const agentId = useSignal(schedule?.agentId ?? "");
  const overlap = useSignal<keyof typeof OVERLAPS>((schedule?.overlap as keyof typeof OVERLAPS | undefined) ?? "skip");
  const save = async () => {
    const fields = {
      name: name.value.trim(),
      cron: cron.value.trim(),
      timeZone: timeZone.value.trim(),
      prompt: prompt.value,
      agentId: agentId.value,
      overlap: overlap.value,
    };
    if (schedule) await runyard().schedules.update(schedule.scheduleId, fields);
    else await runyard().schedules.create(fields);
    onSaved();
  };
  return (
    <EditorDialog title={schedule ? "Edit schedule" : "New schedule"} action={schedule ? "Save" : "Create schedule"} onSave={save} onClose={onClose}>
      <TextField label="Name" text={name} maxLength={200} />
      <TextField label="Cron expression" hint="Minute, hour, day of the month, month, day of the week." text={cron} code />
      <TextField label="Time zone" hint="An IANA name, such as Europe/Berlin." text={timeZone} />
      <LinesField label="Task" text={prompt} />
      <AgentField agentId={agentId} />
      <ChoiceField label="If the earlier run has not ended" chosen={overlap} choices={OVERLAPS} />
    </EditorDialog>
  );
}
