// Starts a run with a file, reads its events and its output, and checks errors, with the client that
// @hey-api/openapi-ts generates from /openapi.json.

import { createClient, formDataBodySerializer } from "./client/client";
import {
  runServiceGetRun,
  runServiceStartRun,
  runServiceStreamRun,
  sandboxServiceListFiles,
  sandboxServiceReadFile,
} from "./client";
import type { RunEvent, StartRunRequest } from "./client";

const token = process.env.RUNYARD_TOKEN!;
// The client would send a plain text in all headers that may contain a credential.
const auth = ({ scheme }: { scheme?: string }) => (scheme === "bearer" ? token : undefined);
const client = createClient({ baseUrl: process.env.RUNYARD_SERVER!, auth });

// The generator uses the JSON body of an operation, so a form with files needs the form serializer.
const form = { prompt: "bash: mkdir -p output; wc -c < data.csv > output/size.txt\nsay: Counted.", files: [new File(["a,b\n"], "data.csv")] };
const started = await runServiceStartRun({
  client,
  ...formDataBodySerializer,
  body: form as unknown as StartRunRequest,
  headers: { "Content-Type": null } as never,
  throwOnError: true,
});
console.log("started", started.data.status);

const { stream } = await runServiceStreamRun({ client, path: { agent_run_id: started.data.agent_run_id } });
let last = 0;
for await (const data of stream) {
  // The document describes the stream as text; the client has already parsed each event.
  const event = data as unknown as RunEvent;
  last += 1;
  if (event.sequence !== last) {
    throw new Error(`a gap at ${last}`);
  }
  if (event.status?.status === "completed") {
    break;
  }
}
const run = await runServiceGetRun({ client, path: { agent_run_id: started.data.agent_run_id }, throwOnError: true });
console.log("ended", run.data.status);

const sandbox_id = run.data.sandbox_id!;
const files = await sandboxServiceListFiles({ client, path: { sandbox_id }, query: { path: "output" }, throwOnError: true });
const [file] = files.data.files;
const content = await sandboxServiceReadFile({ client, path: { sandbox_id }, query: { path: file!.path }, parseAs: "text", throwOnError: true });
console.log("file", file!.path, String(content.data).trim());

const missing = await runServiceGetRun({ client, path: { agent_run_id: "00000000-0000-4000-8000-000000000000" } });
console.log("refused", missing.response?.status, missing.response?.headers.get("x-error-code"), JSON.stringify(missing.error));
