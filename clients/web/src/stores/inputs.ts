// The pending inputs of the account: what its waiting runs ask for.
import { computed } from "@preact/signals";
import type { InputAnswer, RunInput } from "@runyard/client";
import { runyard } from "../client";
import { announce } from "./announce";
import { Loadable } from "./loaded";

const MAX_INPUTS = 200;

/** Oldest first. */
export const pending = new Loadable<readonly RunInput[]>();
export const pendingCount = computed(() => pending.value?.length ?? 0);

/** Loads the pending inputs. Only a waiting run has any, so without one this sends no request. */
export async function loadPending(hasWaitingRun = true): Promise<void> {
  if (hasWaitingRun) await pending.load(() => runyard().inputs.listPending({ pageSize: MAX_INPUTS }).all(MAX_INPUTS));
  else pending.set([]);
}

/** Answers an input. Returns the input with its decision, which is another one if another client answered first. */
export async function answer(runId: string, given: InputAnswer): Promise<RunInput> {
  const { inputs } = await runyard().inputs.answer(runId, given);
  const input = inputs[0]!;
  announce(input.decision === given.decision ? "Answered" : "This was already answered");
  const others = (pending.state.peek().value ?? []).filter((one) => one.inputId !== given.inputId);
  pending.set(others);
  return input;
}
