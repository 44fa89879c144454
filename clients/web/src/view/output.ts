// Finds workspace files that a run wrote.
import type { FileEntry } from "@runyard/client";

/**
 * Milliseconds by which a file's modification time can be behind the system clock. Linux uses the time of the last
 * timer tick, and ticks are up to 10 ms apart (CONFIG_HZ=100).
 */
const TICK = 10;

/**
 * Returns the files that were modified after `startedAt`, the time of the run's first output. Because modification
 * times are imprecise, a file may be older than `startedAt` by up to `TICK`. This does not apply to attached files,
 * because the server stores them shortly before the first output.
 */
export function writtenBy(files: readonly FileEntry[], startedAt: number, attached: readonly string[]): FileEntry[] {
  return files.filter((file) => {
    if (file.isDir || !file.modifiedAt) return false;
    return Number(file.modifiedAt) >= (attached.includes(file.path) ? startedAt : startedAt - TICK);
  });
}
