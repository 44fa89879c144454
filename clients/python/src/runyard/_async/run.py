"""A handle on a run: its events, its result and its files."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from runyard import _methods as methods
from runyard._async.calls import AsyncCalls
from runyard._async.files import AsyncRemoteFile
from runyard._html import facts, table
from runyard._output import Output, convert
from runyard._retry import Backoff, may_reconnect
from runyard.errors import (
    AuthenticationError,
    DeadlineError,
    NotFoundError,
    RunFailedError,
    RunyardError,
    UnavailableError,
)
from runyard.events import InputRequested, MessageFinished, RunEvent, StatusChanged, to_event
from runyard.models import ENDED, Message, RunRecord, RunStatus, to_message
from runyard.progress import Progress, pick_view
from runyard.tools import ClientTool

if TYPE_CHECKING:
    from runyard._async.client import AsyncRunyard
    from runyard._async.transport import AsyncStream, AsyncTransport


class AsyncRun:
    """A handle on a run. Iterating over the handle yields all events of the run live, including the terminal event."""

    def __init__(
        self,
        client: AsyncRunyard,
        *,
        agent_run_id: str,
        thread_id: str,
        project_id: str,
        sandbox_id: str | None,
        status: RunStatus,
        record: RunRecord | None = None,
        tools: Mapping[str, ClientTool] | None = None,
        output: Output | None = None,
    ) -> None:
        self._client = client
        self._calls = AsyncCalls(client, tools) if tools else None
        self._output = output
        self._answer: dict[str, Any] | None = record.output if record else None
        self.agent_run_id = agent_run_id
        self.thread_id = thread_id
        self.project_id = project_id
        self.sandbox_id = sandbox_id
        self.status = status
        """The last known status."""
        self.record = record
        """The newest fetched record of the run; None until one is fetched. `refresh()` updates it."""
        self.cursor = 0
        """The sequence number of the newest event that this handle has received."""

    @classmethod
    def of_record(
        cls,
        client: AsyncRunyard,
        record: RunRecord,
        tools: Mapping[str, ClientTool] | None = None,
        output: Output | None = None,
    ) -> AsyncRun:
        return cls(
            client,
            agent_run_id=record.agent_run_id,
            thread_id=record.thread_id,
            project_id=record.project_id,
            sandbox_id=record.sandbox_id,
            status=record.status,
            record=record,
            tools=tools,
            output=output,
        )

    @property
    def id(self) -> str:
        """The run's UUID, an alias of `agent_run_id`."""
        return self.agent_run_id

    @property
    def output(self) -> Any:
        """The final answer, if the run was started with `output` and this handle has seen that it completed; else None.

        It is an instance of the type that the run was started with, or a dict."""
        return None if self._answer is None else convert(self._answer, self._output)

    def __repr__(self) -> str:
        return f"<Run {self.agent_run_id} {self.status}>"

    def _repr_html_(self) -> str:
        known = {
            "agent_run_id": self.agent_run_id,
            "thread_id": self.thread_id,
            "project_id": self.project_id,
            "sandbox_id": self.sandbox_id,
        }
        rows = {**known, **(facts(self.record) if self.record else {}), "status": self.status}
        return table("Run", {name: value for name, value in rows.items() if value is not None})

    def __aiter__(self) -> AsyncIterator[RunEvent]:
        return self.events()

    async def events(self, *, after_sequence: int = 0, timeout: float | None = None) -> AsyncIterator[RunEvent]:
        """Streams the events after a cursor until the run ends. If the connection breaks, the client reconnects and the
        stream resumes from its cursor. `timeout` limits the whole stream in seconds; None means no limit.

        If the run has client tools, their functions run here, between the status `waiting` and the next event.

        Args:
            after_sequence: Sequence of the last event that the client has received; 0 requests all events.
            timeout: Maximum time of the whole stream in seconds; None means no limit.
        """
        requested: list[InputRequested] = []
        if self._calls is not None and after_sequence > 0:
            await self._calls.answer_pending(self.agent_run_id)
        async for event in follow(self._client, {self.agent_run_id: after_sequence}, timeout):
            self.cursor = max(self.cursor, event.sequence)
            if isinstance(event, StatusChanged):
                self.status = event.status
                if event.output is not None:
                    self._answer = event.output
            yield event
            if isinstance(event, InputRequested):
                requested.append(event)
            elif self._calls is not None and isinstance(event, StatusChanged) and event.status == "waiting":
                await self._calls.answer(requested)
                requested = []

    async def refresh(self) -> RunRecord:
        """Fetches the run and updates the handle."""
        request = to_message(methods.GET_RUN.request, agent_run_id=self.agent_run_id)
        self.record = await self._client._transport.load(methods.GET_RUN, request, RunRecord)
        self.status = self.record.status
        self.sandbox_id = self.record.sandbox_id
        self._answer = self.record.output
        return self.record

    async def wait(self, *, timeout: float | None = None, check: bool = False) -> RunRecord:
        """Waits for the run to end and returns its record. With `check`, raises RunFailedError unless the run
        completed.

        Args:
            timeout: Maximum time in seconds; None means no limit.
            check: Raises RunFailedError unless the run completed.
        """
        if self.status not in ENDED:
            async for _ in self.events(after_sequence=self.cursor, timeout=timeout):
                pass
        record = await self.refresh()
        if check and record.status != "completed":
            raise RunFailedError(record)
        return record

    async def text(self, *, timeout: float | None = None) -> str:
        """Waits for the run to end and returns the model's last message. Raises RunFailedError if the run failed.

        Args:
            timeout: Maximum time in seconds; None means no limit.
        """
        text = ""
        async for event in self.events(timeout=timeout):
            if isinstance(event, MessageFinished) and event.text:
                text = event.text
        if self.status == "failed":
            raise RunFailedError(await self.refresh())
        return text

    async def steer(self, text: str) -> Message:
        """Sends a message to the unfinished run. Its model reads the message at its next call, which the event
        `UserMessage` shows. If the run has ended, the message has no `delivery` and stays in the thread for the next
        run.

        Args:
            text: Text of the message.
        """
        return await self._client.threads.add_message(self.thread_id, content=text)

    async def stop(self) -> None:
        """Requests that the run stops. `wait()` returns when it has stopped. Has no effect on a run that has ended."""
        request = to_message(methods.STOP_RUN.request, agent_run_id=self.agent_run_id)
        self.record = await self._client._transport.load(methods.STOP_RUN, request, RunRecord)
        self.status = self.record.status

    async def files(self, path: str = "output") -> list[AsyncRemoteFile]:
        """Returns the files in a workspace folder, recursively. "" means the whole workspace.

        Args:
            path: Path of the folder; "" is the whole workspace.
        """
        if self.sandbox_id is None:
            await self.refresh()
        if self.sandbox_id is None:
            return []
        try:
            found = self._client.sandboxes.files_all(self.sandbox_id, path, recursive=True)
            return [file async for file in found if not file.is_dir]
        except NotFoundError as error:
            # A missing folder has no files.
            if error.error_code == "FILE_NOT_FOUND":
                return []
            raise

    async def messages(self) -> list[Message]:
        """Returns all messages of the run's thread, oldest first."""
        return [message async for message in self._client.threads.messages_all(self.thread_id)]

    async def show(self, file: TextIO | None = None) -> RunRecord:
        """Shows the run's progress until the run ends.

        A terminal shows it live, a notebook updates one output, and other outputs get complete lines.

        Args:
            file: Output; by default standard output.
        """
        progress = Progress(self.agent_run_id)
        view = pick_view(file)
        try:
            async for event in self.events():
                progress.take(event)
                view.draw(progress, event)
        finally:
            view.close(progress)
        return await self.refresh()


async def follow(
    client: AsyncRunyard, cursors: Mapping[str, int], timeout: float | None, parent: str = ""
) -> AsyncIterator[RunEvent]:
    """Streams the events of runs after their cursors. Yields each event once, and the events of each run in order, even
    after a reconnect. `timeout` limits the whole stream in seconds; None means no limit. The events of the subagents of
    the run `parent` are included."""
    transport = client._transport
    deadline = None if timeout is None else time.monotonic() + timeout
    backoff = Backoff(transport.options.reconnect_for, transport.options.max_retries)
    # Maps each unfinished run to its cursor.
    unfinished = dict(cursors)
    finished: set[str] = set()
    while unfinished:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise DeadlineError("timed out while waiting for the run", error_code="DEADLINE_EXCEEDED")
        requested = dict(unfinished)
        opened_at: float | None = None
        error: RunyardError
        try:
            async with _open(transport, requested, left, parent) as stream:
                await stream.metadata()
                opened_at = time.monotonic()
                async for message in stream.messages():
                    if parent and message.agent_run_id not in finished:
                        # The server sends a subagent's events from the first one.
                        unfinished.setdefault(message.agent_run_id, 0)
                    cursor = unfinished.get(message.agent_run_id)
                    if cursor is None or message.sequence <= cursor:
                        continue
                    if message.sequence > cursor + 1:
                        break
                    unfinished[message.agent_run_id] = message.sequence
                    backoff.succeeded()
                    event = to_event(message)
                    if isinstance(event, StatusChanged) and event.is_terminal:
                        del unfinished[message.agent_run_id]
                        finished.add(message.agent_run_id)
                    yield event
                    if not unfinished:
                        return
            # A server or a proxy ended the stream without an error, so the stream resumes like a broken one.
            error = UnavailableError(
                "the stream ended before the run did", error_code="UNAVAILABLE", grpc_code="UNAVAILABLE"
            )
            # A run without new events may have ended at the requested cursor. Every run has a first event.
            for run_id, cursor in requested.items():
                if unfinished.get(run_id) == cursor > 0 and await _ended_at(transport, run_id, cursor, left):
                    del unfinished[run_id]
            if not unfinished:
                return
        except RunyardError as raised:
            error = raised
        if opened_at is not None:
            backoff.was_open(time.monotonic() - opened_at)
        # The server ends a stream when the token expires. A token function can return a new token, so retry once.
        renews = isinstance(error, AuthenticationError) and callable(transport.options.token) and backoff.failures == 0
        if not may_reconnect(error) and not renews:
            raise error
        await transport.pause(backoff, error, deadline)


def _open(transport: AsyncTransport, cursors: Mapping[str, int], timeout: float | None, parent: str) -> AsyncStream:
    if parent in cursors:
        request = to_message(
            methods.STREAM_RUN.request,
            agent_run_id=parent,
            after_sequence=cursors[parent],
            include_children=True,
        )
        return transport.stream(methods.STREAM_RUN, request, timeout)
    runs = [{"agent_run_id": run_id, "after_sequence": cursor} for run_id, cursor in cursors.items()]
    if len(runs) == 1:
        return transport.stream(methods.STREAM_RUN, to_message(methods.STREAM_RUN.request, **runs[0]), timeout)
    return transport.stream(methods.STREAM_RUNS, to_message(methods.STREAM_RUNS.request, runs=runs), timeout)


async def _ended_at(transport: AsyncTransport, run_id: str, cursor: int, timeout: float | None) -> bool:
    """Whether the event at the cursor is the last one of its run. Requests this event again."""
    async with _open(transport, {run_id: cursor - 1}, timeout, "") as stream:
        async for message in stream.messages():
            if message.sequence >= cursor:
                event = to_event(message)
                return isinstance(event, StatusChanged) and event.is_terminal
    return False
