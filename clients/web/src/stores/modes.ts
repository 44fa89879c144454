// The modes in which a run can be started.
import type { Mode } from "@runyard/client";
import { runyard } from "../client";
import { Loadable } from "./loaded";

export const modes = new Loadable<readonly Mode[]>();

export function loadModes(): Promise<void> {
  return modes.load(() => runyard().agents.listModes());
}
