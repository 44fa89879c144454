# Generated from runyard/_async by make_sync.py: edit the source there.
"""Calls and streams with retries, deadlines and typed exceptions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

from runyard._sync.lines import Lines
from runyard._methods import Method, Req, Res
from runyard._options import Options
from runyard._retry import Backoff, may_repeat
from runyard.errors import DeadlineError, RunyardError
from runyard.models import to_model

T = TypeVar("T")


class Stream:
    """A stream, which the `with` block opens and closes. Failures are raised as RunyardError."""

    def __init__(self, lines: Lines, method: Method[Any, Any], request: Any, timeout: float | None) -> None:
        self.lines = lines
        self.method = method
        self.request = request
        self.timeout = timeout

    def __enter__(self) -> Stream:
        self.opened = self.lines.stream(self.method, self.request, self.timeout)
        return self

    def __exit__(self, *_: object) -> None:
        self.opened.close()

    def metadata(self) -> dict[str, str]:
        """Waits for the initial metadata of the response, and returns it."""
        return self.opened.metadata()

    def messages(self) -> Iterator[Any]:
        return self.opened.messages()


class Transport:
    """Performs the calls of all services. A copy of this object with other options shares the connections."""

    def __init__(self, options: Options, lines: Lines | None = None) -> None:
        self.options = options
        self.lines = lines or Lines(options)

    def with_timeout(self, seconds: float) -> Transport:
        return Transport(replace(self.options, timeout=seconds), self.lines)

    def call(self, method: Method[Req, Res], request: Req) -> Res:
        """Makes a unary call. After a failure, retries the call if this is safe and the timeout has not passed."""
        deadline = time.monotonic() + self.options.timeout
        backoff = Backoff(self.options.timeout, self.options.max_retries)
        while True:
            try:
                return self.lines.unary(method, request, max(deadline - time.monotonic(), 0.001))
            except RunyardError as raised:
                error = raised
            pause = backoff.next_pause(error, time.monotonic()) if may_repeat(error, method.repeatable) else None
            if pause is None:
                raise error
            time.sleep(pause)

    def load(self, method: Method[Req, Res], request: Req, wanted: type[T]) -> T:
        """Makes a unary call and converts the response to the model class `wanted`."""
        answer = self.call(method, request)
        return to_model(answer, wanted)

    def stream(self, method: Method[Req, Res], request: Req, timeout: float | None) -> Stream:
        """Returns a stream without retries. After a failure, the caller must open a new stream at its cursor."""
        return Stream(self.lines, method, request, timeout)

    def pause(self, backoff: Backoff, error: RunyardError, deadline: float | None) -> None:
        """Waits before the next attempt to open a stream. Raises `error` if no further attempt is allowed, and
        DeadlineError if `deadline`, a time of the monotonic clock, passes first. None means no deadline."""
        now = time.monotonic()
        pause = backoff.next_pause(error, now)
        if pause is None:
            raise error
        if deadline is not None and now + pause > deadline:
            time.sleep(max(deadline - now, 0))
            raise DeadlineError("timed out while waiting for the run", error_code="DEADLINE_EXCEEDED")
        time.sleep(pause)
