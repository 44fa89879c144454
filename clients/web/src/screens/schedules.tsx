// The account's schedules, with their next times and their history, and its triggers.
import { CalendarClock, Plus } from "lucide";
import { useSignal } from "@preact/signals";
import type { Schedule } from "@runyard/client";
import { useEffect } from "preact/hooks";
import { runyard } from "../client";
import { explainError } from "../errors";
import { Confirm, Dialog, Empty, Field, RefusalNote, Spinner } from "../parts/basic";
import { Icon } from "../parts/icon";
import { Triggers } from "../parts/triggers";
import { agents, loadAgents } from "../stores/agents";
import { announce } from "../stores/announce";
import { history, loadHistory, loadMoreHistory, loadSchedules, moreHistory, schedules } from "../stores/schedules";
import { dayAndTime } from "../view/format";
import type { Explained } from "../view/refusal";

const OVERLAPS = { skip: "Skip the new run", queue: "Queue the new run", replace: "Stop the earlier run" } as const;

export function Schedules() {
  const editing = useSignal<Schedule | "new" | null>(null);
  const open = useSignal<string | null>(null);
  const deleting = useSignal<Schedule | null>(null);
  const refused = useSignal<Explained | null>(null);
  useEffect(() => {
    document.title = "Schedules · Runyard";
    void loadSchedules();
    void loadAgents();
  }, []);
  const { value, refused: notLoaded, loading } = schedules.state.value;
  const act = async (what: string, action: () => Promise<unknown>) => {
    refused.value = null;
    try {
      await action();
      announce(what);
      await loadSchedules();
    } catch (error) {
      refused.value = explainError(error);
    }
  };
  return (
    <div class="page page-wide">
      <div class="page-head">
        <h1>Schedules</h1>
        <button type="button" class="button button-primary push" onClick={() => (editing.value = "new")}>
          <Icon of={Plus} size={17} />
          New schedule
        </button>
      </div>
      {refused.value && <RefusalNote explained={refused.value} onClose={() => (refused.value = null)} />}
      {notLoaded && <RefusalNote explained={notLoaded} onAgain={() => void loadSchedules()} />}
      {!value && loading && <Spinner label="Loading schedules" />}
      {value?.length === 0 && (
        <Empty title="No schedules yet">
          <p>A schedule starts a run at certain times, for example every Monday at eight.</p>
        </Empty>
      )}
      <ul class="keys" aria-label="Schedules">
        {value?.map((schedule) => (
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
                <button
                  type="button"
                  class="button button-small"
                  aria-expanded={open.value === schedule.scheduleId}
                  onClick={() => (open.value = open.value === schedule.scheduleId ? null : schedule.scheduleId)}
                >
                  History
                </button>
                <button
                  type="button"
                  class="button button-small"
                  onClick={() =>
                    void act("Started", async () => {
                      await runyard().schedules.runNow(schedule.scheduleId);
                      open.value = schedule.scheduleId;
                      await loadHistory(schedule.scheduleId);
                    })
                  }
                >
                  Run now
                </button>
                <button
                  type="button"
                  class="button button-small"
                  onClick={() =>
                    void act(schedule.paused ? "Resumed" : "Paused", () =>
                      schedule.paused ? runyard().schedules.resume(schedule.scheduleId) : runyard().schedules.pause(schedule.scheduleId),
                    )
                  }
                >
                  {schedule.paused ? "Resume" : "Pause"}
                </button>
                <button type="button" class="button button-small" onClick={() => (editing.value = schedule)}>
                  Edit
                </button>
                <button type="button" class="button button-small" onClick={() => (deleting.value = schedule)}>
                  Delete
                </button>
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
              {run.manual && <span class="small dim"> started by hand</span>}
              {run.message && <p class="small dim">{run.message}</p>}
            </div>
          </li>
        ))}
      </ul>
      {moreHistory.value !== "" && (
        <button type="button" class="button button-small" disabled={loading} onClick={() => void loadMoreHistory(scheduleId)}>
          {loading ? "Loading" : "Show more"}
        </button>
      )}
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
  const refused = useSignal<Explained | null>(null);
  return (
    <Dialog title={schedule ? "Edit schedule" : "New schedule"} onClose={onClose}>
      <form
        class="dialog-text"
        onSubmit={async (event) => {
          event.preventDefault();
          const fields = {
            name: name.value.trim(),
            cron: cron.value.trim(),
            timeZone: timeZone.value.trim(),
            prompt: prompt.value,
            agentId: agentId.value,
            overlap: overlap.value,
          };
          try {
            if (schedule) await runyard().schedules.update(schedule.scheduleId, fields);
            else await runyard().schedules.create(fields);
            onSaved();
          } catch (error) {
            refused.value = explainError(error);
          }
        }}
      >
        {refused.value && <RefusalNote explained={refused.value} />}
        <Field label="Name">
          <input required maxLength={200} value={name.value} onInput={(event) => (name.value = event.currentTarget.value)} />
        </Field>
        <Field label="Cron expression" hint="Minute, hour, day of the month, month, day of the week.">
          <input required class="code" value={cron.value} onInput={(event) => (cron.value = event.currentTarget.value)} />
        </Field>
        <Field label="Time zone" hint="An IANA name, such as Europe/Berlin.">
          <input required value={timeZone.value} onInput={(event) => (timeZone.value = event.currentTarget.value)} />
        </Field>
        <Field label="Task">
          <textarea required rows={4} value={prompt.value} onInput={(event) => (prompt.value = event.currentTarget.value)} />
        </Field>
        <Field label="Agent">
          <select value={agentId.value} onChange={(event) => (agentId.value = event.currentTarget.value)}>
            <option value="">Default agent</option>
            {agents.value?.map((agent) => (
              <option key={agent.agentId} value={agent.agentId}>
                {agent.name}
              </option>
            ))}
          </select>
        </Field>
        <Field label="If the earlier run has not ended">
          <select value={overlap.value} onChange={(event) => (overlap.value = event.currentTarget.value as keyof typeof OVERLAPS)}>
            {Object.entries(OVERLAPS).map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </Field>
        <div class="dialog-actions">
          <button type="submit" class="button button-primary">
            Save
          </button>
        </div>
      </form>
    </Dialog>
  );
}
