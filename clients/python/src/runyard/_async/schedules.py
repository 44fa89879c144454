"""Schedules: runs that start at certain times."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from runyard import _methods as methods
from runyard._lists import pages
from runyard._unset import UNSET, Unset, changes
from runyard.models import Page, Schedule, ScheduleOverlap, ScheduleRun, to_message

if TYPE_CHECKING:
    from runyard._async.client import AsyncRunyard


class AsyncSchedules:
    """Manages the schedules of the account."""

    def __init__(self, client: AsyncRunyard) -> None:
        self._transport = client._transport

    async def create(
        self,
        name: str,
        cron: str,
        prompt: str,
        *,
        time_zone: str = "",
        agent_id: str = "",
        thread_id: str = "",
        model_name: str = "",
        mode: str = "",
        overlap: ScheduleOverlap = "skip",
        max_failures: int = 0,
    ) -> Schedule:
        """Creates a schedule. `cron` has five fields; `time_zone` is an IANA name and defaults to UTC.

        Args:
            name: Name for people: up to 200 characters.
            cron: Cron expression with five fields: minute, hour, day of the month, month, day of the week.
            prompt: Prompt of the runs.
            time_zone: Name of an IANA time zone, such as Europe/Berlin. Default: UTC.
            agent_id: UUID of the agent. Default: the account's default agent.
            thread_id: UUID of the thread that the runs continue. Default: each run creates a thread.
            model_name: Model of the runs. Default: the agent's model.
            mode: Mode of the runs. Default: the default mode.
            overlap: Action if an earlier run is unfinished. Default: "skip".
            max_failures: Number of failures in a row after which the schedule is paused: 1 to 100. Default: 5.
        """
        request = to_message(
            methods.CREATE_SCHEDULE.request,
            name=name,
            cron=cron,
            prompt=prompt,
            time_zone=time_zone,
            agent_id=agent_id,
            thread_id=thread_id,
            model_name=model_name,
            mode=mode,
            overlap=overlap,
            max_failures=max_failures,
        )
        return await self._transport.load(methods.CREATE_SCHEDULE, request, Schedule)

    async def get(self, schedule_id: str) -> Schedule:
        """Returns the schedule with this id.

        Args:
            schedule_id: The schedule's UUID.
        """
        request = to_message(methods.GET_SCHEDULE.request, schedule_id=schedule_id)
        return await self._transport.load(methods.GET_SCHEDULE, request, Schedule)

    async def list(self, *, page_size: int = 0, page_token: str = "") -> Page[Schedule]:
        """Returns one page of schedules, newest first.

        Args:
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(methods.LIST_SCHEDULES.request, page_size=page_size, page_token=page_token)
        answer = await self._transport.call(methods.LIST_SCHEDULES, request)
        return pages(answer.schedules, Schedule, answer.next_page_token)

    async def list_all(self) -> AsyncIterator[Schedule]:
        """Iterates over all of the caller's schedules."""
        token = ""
        while True:
            page = await self.list(page_size=200, page_token=token)
            for schedule in page:
                yield schedule
            token = page.next_page_token
            if not token:
                return

    async def update(
        self,
        schedule_id: str,
        *,
        name: str | Unset = UNSET,
        cron: str | Unset = UNSET,
        time_zone: str | Unset = UNSET,
        prompt: str | Unset = UNSET,
        agent_id: str | Unset = UNSET,
        thread_id: str | Unset = UNSET,
        model_name: str | Unset = UNSET,
        mode: str | Unset = UNSET,
        overlap: ScheduleOverlap | Unset = UNSET,
        max_failures: int | Unset = UNSET,
    ) -> Schedule:
        """Changes the given fields.

        Args:
            schedule_id: The schedule's UUID.
            name: New name.
            cron: New cron expression.
            time_zone: New time zone.
            prompt: New prompt.
            agent_id: New agent; empty for the account's default agent.
            thread_id: New thread; empty for a thread per run.
            model_name: New model; empty for the agent's model.
            mode: New mode; empty for the default mode.
            overlap: New rule for unfinished runs.
            max_failures: New number of failures.
        """
        request = changes(
            to_message(methods.UPDATE_SCHEDULE.request, schedule_id=schedule_id),
            name=name,
            cron=cron,
            time_zone=time_zone,
            prompt=prompt,
            agent_id=agent_id,
            thread_id=thread_id,
            model_name=model_name,
            mode=mode,
            overlap=overlap,
            max_failures=max_failures,
        )
        return await self._transport.load(methods.UPDATE_SCHEDULE, request, Schedule)

    async def delete(self, schedule_id: str) -> None:
        """Deletes a schedule with its history.

        Args:
            schedule_id: The schedule's UUID.
        """
        request = to_message(methods.DELETE_SCHEDULE.request, schedule_id=schedule_id)
        await self._transport.call(methods.DELETE_SCHEDULE, request)

    async def pause(self, schedule_id: str) -> Schedule:
        """Pauses a schedule.

        Args:
            schedule_id: The schedule's UUID.
        """
        request = to_message(methods.PAUSE_SCHEDULE.request, schedule_id=schedule_id)
        return await self._transport.load(methods.PAUSE_SCHEDULE, request, Schedule)

    async def resume(self, schedule_id: str) -> Schedule:
        """Resumes a schedule with its next occurrence.

        Args:
            schedule_id: The schedule's UUID.
        """
        request = to_message(methods.RESUME_SCHEDULE.request, schedule_id=schedule_id)
        return await self._transport.load(methods.RESUME_SCHEDULE, request, Schedule)

    async def run_now(self, schedule_id: str, *, request_id: str | None = None) -> ScheduleRun:
        """Starts a run now. Calls with the same `request_id` start only one run.

        Args:
            schedule_id: The schedule's UUID.
            request_id: Idempotency key, up to 255 characters. By default, the client generates a new id for each call.
        """
        request = to_message(
            methods.RUN_SCHEDULE_NOW.request, schedule_id=schedule_id, request_id=request_id or str(uuid.uuid4())
        )
        return await self._transport.load(methods.RUN_SCHEDULE_NOW, request, ScheduleRun)

    async def runs(self, schedule_id: str, *, page_size: int = 0, page_token: str = "") -> Page[ScheduleRun]:
        """Returns one page of occurrences, newest first.

        Args:
            schedule_id: The schedule's UUID.
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(
            methods.LIST_SCHEDULE_RUNS.request, schedule_id=schedule_id, page_size=page_size, page_token=page_token
        )
        answer = await self._transport.call(methods.LIST_SCHEDULE_RUNS, request)
        return pages(answer.runs, ScheduleRun, answer.next_page_token)
