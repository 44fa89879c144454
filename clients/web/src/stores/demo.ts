// Whether only the built-in demo model answers, because no model is connected. The API does not say so before a run, but
// the events of a run do.
import { signal } from "@preact/signals";
import { runyard } from "../client";
import { type RunView, advance, emptyView } from "../view/run";

/** Whether the demo model answered the last known run in place of the requested model. */
export const isDemoOnly = signal(false);
/** Whether the user has closed the message about it. */
export const isDemoNoteClosed = signal(false);

/** Start of the newest known run. An older run may have used the demo model before a model was connected. */
let newest = -Infinity;

/** Learns from a run which model answers. Until a run has used a model, it says nothing. */
export function learnModel(view: RunView): void {
  if (!saysModel(view) || view.startedAt! < newest) return;
  newest = view.startedAt!;
  isDemoOnly.value = view.isDemo;
}

function saysModel(view: RunView): boolean {
  return view.startedAt !== null && (view.isDemo || view.usage.calls > 0);
}

/** Checks the newest completed run. A failure only hides the message. */
export async function checkModel(): Promise<void> {
  try {
    const client = runyard();
    const [run] = (await client.runs.list({ pageSize: 1, status: "completed" })).items;
    if (!run) return;
    let view = emptyView(run.agentRunId);
    for await (const event of client.runs.stream(run.agentRunId)) {
      view = advance(view, [event]);
      if (saysModel(view)) break;
    }
    learnModel(view);
  } catch {
    // Other requests of the page report the error.
  }
}

export function forgetModel(): void {
  newest = -Infinity;
  isDemoOnly.value = false;
  isDemoNoteClosed.value = false;
}
