"""Calls and streams with retries, deadlines and typed exceptions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, TypeVar

from runyard._async.lines import AsyncLines
from runyard._methods import Method, Req, Res
from runyard._options import Options
from runyard._retry import Backoff, may_repeat
from runyard.errors import DeadlineError, RunyardError
from runyard.models import to_model

T = TypeVar("T")


class AsyncStream:
    """A stream, which the `with` block opens and closes. Failures are raised as RunyardError."""

    def __init__(self, lines: AsyncLines, method: Method[Any, Any], request: Any, timeout: float | None) -> None:
        self.lines = lines
        self.method = method
        self.request = request
        self.timeout = timeout

    async def __aenter__(self) -> AsyncStream:
        self.opened = await self.lines.stream(self.method, self.request, self.timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.opened.close()

    async def metadata(self) -> dict[str, str]:
        """Waits for the initial metadata of the response, and returns it."""
        return await self.opened.metadata()

    def messages(self) -> AsyncIterator[Any]:
        return self.opened.messages()


class AsyncTransport:
    """Performs the calls of all services. A copy of this object with other options shares the connections."""

    def __init__(self, options: Options, lines: AsyncLines | None = None) -> None:
        self.options = options
        self.lines = lines or AsyncLines(options)

    def with_timeout(self, seconds: float) -> AsyncTransport:
        return AsyncTransport(replace(self.options, timeout=seconds), self.lines)

    async def call(self, method: Method[Req, Res], request: Req) -> Res:
        """Makes a unary call. After a failure, retries the call if this is safe and the timeout has not passed."""
        deadline = time.monotonic() + self.options.timeout
        backoff = Backoff(self.options.timeout, self.options.max_retries)
        while True:
            try:
                return await self.lines.unary(method, request, max(deadline - time.monotonic(), 0.001))
            except RunyardError as raised:
                error = raised
            pause = backoff.next_pause(error, time.monotonic()) if may_repeat(error, method.repeatable) else None
            if pause is None:
                raise error
            await asyncio.sleep(pause)

    async def load(self, method: Method[Req, Res], request: Req, wanted: type[T]) -> T:
        """Makes a unary call and converts the response to the model class `wanted`."""
        answer = await self.call(method, request)
        return to_model(answer, wanted)

    def stream(self, method: Method[Req, Res], request: Req, timeout: float | None) -> AsyncStream:
        """Returns a stream without retries. After a failure, the caller must open a new stream at its cursor."""
        return AsyncStream(self.lines, method, request, timeout)

    async def pause(self, backoff: Backoff, error: RunyardError, deadline: float | None) -> None:
        """Waits before the next attempt to open a stream. Raises `error` if no further attempt is allowed, and
        DeadlineError if `deadline`, a time of the monotonic clock, passes first. None means no deadline."""
        now = time.monotonic()
        pause = backoff.next_pause(error, now)
        if pause is None:
            raise error
        if deadline is not None and now + pause > deadline:
            await asyncio.sleep(max(deadline - now, 0))
            raise DeadlineError("timed out while waiting for the run", error_code="DEADLINE_EXCEEDED")
        await asyncio.sleep(pause)
