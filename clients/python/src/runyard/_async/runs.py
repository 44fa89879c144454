"""Fetching, listing, streaming and stopping runs."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING

from runyard import _methods as methods
from runyard import tools as client_tools
from runyard._async.run import AsyncRun, follow
from runyard._output import Output
from runyard.events import RunEvent
from runyard.models import Page, RunRecord, RunStatus, to_message, to_model

if TYPE_CHECKING:
    from runyard._async.client import AsyncRunyard


class AsyncRuns:
    """Fetches, lists, streams and stops runs."""

    def __init__(self, client: AsyncRunyard) -> None:
        self._client = client
        self._transport = client._transport

    async def get(
        self, agent_run_id: str, *, tools: Iterable[client_tools.Tool] = (), output: Output | None = None
    ) -> AsyncRun:
        """Returns a handle on the run with this id. The handle answers the calls of the given tools.

        Args:
            agent_run_id: The run's UUID.
            tools: Functions, or instances of `ClientTool`, whose calls the handle answers.
            output: Type of the handle's output, as for `run` of the agents.
        """
        provided = client_tools.declared(tools, may_await=True)
        request = to_message(methods.GET_RUN.request, agent_run_id=agent_run_id)
        record = await self._transport.load(methods.GET_RUN, request, RunRecord)
        return AsyncRun.of_record(self._client, record, provided, output)

    async def list(
        self,
        *,
        thread_id: str = "",
        status: RunStatus | None = None,
        created_after: datetime.datetime | None = None,
        created_before: datetime.datetime | None = None,
        parent_run_id: str = "",
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[AsyncRun]:
        """Returns one page of the caller's runs, newest first.

        Args:
            thread_id: Lists only runs of this thread.
            status: Lists only runs in this state.
            created_after: Lists only runs created at or after this time.
            created_before: Lists only runs created before this time.
            parent_run_id: Lists only the runs that this run's model started as subagents.
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(
            methods.LIST_RUNS.request,
            thread_id=thread_id,
            status=status,
            created_after=created_after,
            created_before=created_before,
            parent_run_id=parent_run_id,
            page_size=page_size,
            page_token=page_token,
        )
        answer = await self._transport.call(methods.LIST_RUNS, request)
        runs = [AsyncRun.of_record(self._client, to_model(run, RunRecord)) for run in answer.agent_runs]
        return Page(runs, answer.next_page_token)

    async def list_all(
        self,
        *,
        thread_id: str = "",
        status: RunStatus | None = None,
        created_after: datetime.datetime | None = None,
        created_before: datetime.datetime | None = None,
        parent_run_id: str = "",
    ) -> AsyncIterator[AsyncRun]:
        """Iterates over the caller's runs, newest first.

        Args:
            thread_id: Lists only runs of this thread.
            status: Lists only runs in this state.
            created_after: Lists only runs created at or after this time.
            created_before: Lists only runs created before this time.
            parent_run_id: Lists only the runs that this run's model started as subagents.
        """
        token = ""
        while True:
            page = await self.list(
                thread_id=thread_id,
                status=status,
                created_after=created_after,
                created_before=created_before,
                parent_run_id=parent_run_id,
                page_size=200,
                page_token=token,
            )
            for run in page:
                yield run
            token = page.next_page_token
            if not token:
                return

    async def list_active(self, *, page_size: int = 200, page_token: str = "") -> Page[AsyncRun]:
        """Returns one page of the caller's active runs, newest first.

        Args:
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(methods.LIST_ACTIVE_RUNS.request, page_size=page_size, page_token=page_token)
        answer = await self._transport.call(methods.LIST_ACTIVE_RUNS, request)
        runs = [AsyncRun.of_record(self._client, to_model(run, RunRecord)) for run in answer.active_runs]
        return Page(runs, answer.next_page_token)

    def stream(
        self,
        agent_run_id: str,
        *,
        after_sequence: int = 0,
        include_children: bool = False,
        timeout: float | None = None,
    ) -> AsyncIterator[RunEvent]:
        """Streams the events of a run after a cursor until the run ends. A broken stream resumes.

        Args:
            agent_run_id: The run's UUID.
            after_sequence: Sequence of the last event that the client has received; 0 requests all events.
            include_children: Whether the stream also contains the events of the run's subagents.
            timeout: Maximum time in seconds; None means no limit.
        """
        return follow(self._client, {agent_run_id: after_sequence}, timeout, agent_run_id if include_children else "")

    def stream_many(
        self, runs: Iterable[AsyncRun | str] | Mapping[str, int], *, timeout: float | None = None
    ) -> AsyncIterator[RunEvent]:
        """Streams the events of up to 100 runs over one stream until all runs have ended.

        The events of one run are in order. `runs` is a list of runs or run ids, or maps each run id to the cursor after
        which the run's events start.

        Args:
            runs: Up to 100 runs or run ids, or a mapping from run ids to the cursors after which the events start.
            timeout: Maximum time in seconds; None means no limit.
        """
        if isinstance(runs, str):
            raise TypeError("runs must be a list or a mapping")
        cursors = runs if isinstance(runs, Mapping) else {run if isinstance(run, str) else run.id: 0 for run in runs}
        return follow(self._client, cursors, timeout)

    async def stop(self, agent_run_id: str) -> AsyncRun:
        """Requests that a run stops. Has no effect on a run that has ended.

        Args:
            agent_run_id: The run's UUID.
        """
        request = to_message(methods.STOP_RUN.request, agent_run_id=agent_run_id)
        record = await self._transport.load(methods.STOP_RUN, request, RunRecord)
        return AsyncRun.of_record(self._client, record)
