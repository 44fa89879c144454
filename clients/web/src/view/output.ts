// Tells which files of a workspace a run wrote.
import type { FileEntry } from "@runyard/client";

/**
 * Maximum lag of a file's time behind the clock, in milliseconds. Linux stamps files with the time of its last timer tick, and a tick
 * takes up to 10 ms (CONFIG_HZ=100).
 */
const TICK = 10;

/**
 * Returns the files that changed after the first output of a run. A file that was attached to the prompt counts only if it changed
 * clearly later, because the attachments are stored shortly before.
 */
export function writtenBy(files: readonly FileEntry[], startedAt: number, attached: readonly string[]): FileEntry[] {
  return files.filter((file) => {
    if (file.isDir || !file.modifiedAt) return false;
    return Number(file.modifiedAt) >= (attached.includes(file.path) ? startedAt : startedAt - TICK);
  });
}
