// The export of a thread to a file.
import { runyard } from "../client";
import { type ExportFormat, exportName, exported } from "../view/export";
import { download } from "./download";

/** Maximum number of messages, and of runs, in an export. */
const MAX_ITEMS = 20_000;

export async function exportThread(threadId: string, format: ExportFormat): Promise<void> {
  const client = runyard();
  const [thread, messages, runs] = await Promise.all([
    client.threads.get(threadId),
    client.threads.listMessages(threadId, { pageSize: 200 }).all(MAX_ITEMS),
    client.runs.list({ threadId, pageSize: 200 }).all(MAX_ITEMS),
  ]);
  download(exportName(thread.name, format), exported({ thread, messages, runs: [...runs].reverse() }, format, new Date()));
}
