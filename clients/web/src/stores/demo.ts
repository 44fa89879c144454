// Whether only the built-in demo model answers, because no model is connected. The API does not say so before a run, but
// the events of a run do.
import { signal } from "@preact/signals";
import { runyard } from "../client";
import { type RunView, advance, emptyView } from "../view/run";

/** Whether the demo model answered the last known run in place of the requested model. */
export const isDemoOnly = signal(false);
/** Whether the user has closed the message about it. */
export const isDemoNoteClosed = signal(false);

let knowsRun = false;

/** Learns from a run which model answers. Until a run has used a model, it says nothing. */
export function learnModel(view: RunView): void {
  if (view.usage.calls === 0 && !view.isDemo) return;
  knowsRun = true;
  isDemoOnly.value = view.isDemo;
}

/** Checks the newest completed run, unless a run on the screen has told already. A failure only hides the message. */
export async function checkModel(): Promise<void> {
  try {
    const client = runyard();
    const [run] = (await client.runs.list({ pageSize: 1, status: "completed" })).items;
    if (!run) return;
    let view = emptyView(run.agentRunId);
    for await (const event of client.runs.stream(run.agentRunId)) {
      view = advance(view, [event]);
      if (view.isDemo || view.usage.calls > 0) break;
    }
    if (!knowsRun) learnModel(view);
  } catch {
    // Other requests of the page report the error.
  }
}

export function forgetModel(): void {
  knowsRun = false;
  isDemoOnly.value = false;
  isDemoNoteClosed.value = false;
}
