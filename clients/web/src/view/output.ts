// Finds the files of a workspace that a run wrote.
import type { FileEntry } from "@runyard/client";

/**
 * Maximum time in milliseconds by which a file's modification time is behind the system clock. Linux sets the
 * modification time to the time of the last timer tick, and ticks are up to 10 ms apart (CONFIG_HZ=100).
 */
const TICK = 10;

/**
 * Returns the files that were modified at or after `startedAt`, the time of the run's first output. Modification times
 * are imprecise, so files modified up to `TICK` earlier are included. Attached files get no such tolerance, because the
 * server stores them shortly before the first output.
 */
export function writtenBy(files: readonly FileEntry[], startedAt: number, attached: readonly string[]): FileEntry[] {
  return files.filter((file) => {
    if (file.isDir || !file.modifiedAt) return false;
    return Number(file.modifiedAt) >= (attached.includes(file.path) ? startedAt : startedAt - TICK);
  });
}
