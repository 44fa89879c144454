// Finds the files of a workspace that a run wrote.
import type { FileEntry } from "@runyard/client";

/**
 * Maximum lag of a file's time behind the clock, in milliseconds. Linux stamps files with the time of its last timer
 * tick, and a tick takes up to 10 ms (CONFIG_HZ=100).
 */
const TICK = 10;

/**
 * Returns the files that changed since `startedAt`, the time of the run's first output. A file may carry a time up to
 * `TICK` earlier. This tolerance does not apply to attached files, because they are stored shortly before the output.
 */
export function writtenBy(files: readonly FileEntry[], startedAt: number, attached: readonly string[]): FileEntry[] {
  return files.filter((file) => {
    if (file.isDir || !file.modifiedAt) return false;
    return Number(file.modifiedAt) >= (attached.includes(file.path) ? startedAt : startedAt - TICK);
  });
}
