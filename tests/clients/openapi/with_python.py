"""Starts a run with a file, waits for its end, reads its output, and checks errors, with the client that
openapi-python-client generates from /openapi.json."""

import os
import time
from io import BytesIO

from generated import AuthenticatedClient
from generated.api.run_service import run_service_get_run, run_service_start_run
from generated.api.sandbox_service import sandbox_service_list_files, sandbox_service_read_file
from generated.models import RunServiceStartRunFilesBody, RunServiceStartRunFilesBodyMode, StartRunRequest
from generated.types import File

DEADLINE = 120

client = AuthenticatedClient(base_url=os.environ["RUNYARD_SERVER"], token=os.environ["RUNYARD_TOKEN"])
body = RunServiceStartRunFilesBody(
    prompt="bash: mkdir -p output; wc -c < data.csv > output/size.txt\nsay: Counted.",
    mode=RunServiceStartRunFilesBodyMode.CODE,
    files=[File(payload=BytesIO(b"a,b\n"), file_name="data.csv", mime_type="text/csv")],
)
started = run_service_start_run.sync(client=client, body=body)
print("started", started.status)

until = time.monotonic() + DEADLINE
while (run := run_service_get_run.sync(started.agent_run_id, client=client)).status == "running":
    if time.monotonic() > until:
        raise TimeoutError(run.status)
    time.sleep(0.2)
print("ended", run.status)

(file,) = sandbox_service_list_files.sync(run.sandbox_id, client=client, path="output").files
content = sandbox_service_read_file.sync_detailed(run.sandbox_id, client=client, path=file.path).content
print("file", file.path, content.decode().strip())

busy = run_service_start_run.sync(client=client, body=StartRunRequest(prompt="sleep: 100"))
refused = run_service_start_run.sync_detailed(client=client, body=StartRunRequest(prompt="say: x"))
print("refused", refused.status_code.value, refused.parsed.detail.error_code, refused.parsed.detail.running_thread_ids == [busy.thread_id])
missing = run_service_get_run.sync_detailed("00000000-0000-4000-8000-000000000000", client=client)
print("refused", missing.status_code.value, missing.headers["x-error-code"], missing.parsed.detail)
