// Whether Enter starts a run and Shift+Enter adds a line (the default), or the other way round.
import { signal } from "@preact/signals";
import { readStored, writeStored } from "./stored";

const KEY = "runyard.enter";

export const enterStarts = signal(readStored(KEY) !== "line");

export function chooseEnter(starts: boolean): void {
  enterStarts.value = starts;
  writeStored(KEY, starts ? null : "line");
}
