# Generated from runyard/_async by make_sync.py: edit the source there.
"""Fetching, listing, streaming and stopping runs."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Iterable, Mapping
from typing import TYPE_CHECKING

from runyard import _methods as methods
from runyard import tools as client_tools
from runyard._sync.run import Run, follow
from runyard._output import Output
from runyard.events import RunEvent
from runyard.models import Page, RunRecord, RunStatus, to_message, to_model

if TYPE_CHECKING:
    from runyard._sync.client import Runyard


class Runs:
    """Fetches, lists, streams and stops runs."""

    def __init__(self, client: Runyard) -> None:
        self._client = client
        self._transport = client._transport

    def get(
        self, agent_run_id: str, *, tools: Iterable[client_tools.Tool] = (), output: Output | None = None
    ) -> Run:
        """Returns a handle on the run with this id. The handle answers the calls of the given tools, and its output is
        an instance of the given type."""
        provided = client_tools.declared(tools, may_await=False)
        request = to_message(methods.GET_RUN.request, agent_run_id=agent_run_id)
        record = self._transport.load(methods.GET_RUN, request, RunRecord)
        return Run.of_record(self._client, record, provided, output)

    def list(
        self,
        *,
        thread_id: str = "",
        status: RunStatus | None = None,
        created_after: datetime.datetime | None = None,
        created_before: datetime.datetime | None = None,
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[Run]:
        """Returns one page of the caller's runs, newest first."""
        request = to_message(
            methods.LIST_RUNS.request,
            thread_id=thread_id,
            status=status,
            created_after=created_after,
            created_before=created_before,
            page_size=page_size,
            page_token=page_token,
        )
        answer = self._transport.call(methods.LIST_RUNS, request)
        runs = [Run.of_record(self._client, to_model(run, RunRecord)) for run in answer.agent_runs]
        return Page(runs, answer.next_page_token)

    def list_active(self, *, page_size: int = 200, page_token: str = "") -> Page[Run]:
        """Returns one page of the caller's active runs, newest first."""
        request = to_message(methods.LIST_ACTIVE_RUNS.request, page_size=page_size, page_token=page_token)
        answer = self._transport.call(methods.LIST_ACTIVE_RUNS, request)
        runs = [Run.of_record(self._client, to_model(run, RunRecord)) for run in answer.active_runs]
        return Page(runs, answer.next_page_token)

    def stream(
        self, agent_run_id: str, *, after_sequence: int = 0, timeout: float | None = None
    ) -> Iterator[RunEvent]:
        """Streams the events of a run after a cursor until the run ends. A broken stream resumes."""
        return follow(self._client, {agent_run_id: after_sequence}, timeout)

    def stream_many(
        self, runs: Iterable[Run | str] | Mapping[str, int], *, timeout: float | None = None
    ) -> Iterator[RunEvent]:
        """Streams the events of up to 100 runs over one stream until all runs have ended.

        The events of one run are in order. `runs` is a list of runs or run ids, or maps each run id to the cursor after
        which the run's events start.
        """
        if isinstance(runs, str):
            raise TypeError("runs must be a list or a mapping")
        cursors = runs if isinstance(runs, Mapping) else {run if isinstance(run, str) else run.id: 0 for run in runs}
        return follow(self._client, cursors, timeout)

    def stop(self, agent_run_id: str) -> Run:
        """Requests that a run stops. Has no effect on a run that has ended."""
        request = to_message(methods.STOP_RUN.request, agent_run_id=agent_run_id)
        record = self._transport.load(methods.STOP_RUN, request, RunRecord)
        return Run.of_record(self._client, record)
