"""Retry policy: which errors allow a retry, and after which pause. Performs no I/O."""

from __future__ import annotations

import random

from runyard.errors import RunyardError

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
# A stream that stays open for this many seconds resets the number of failures, even without messages.
STEADY = 5.0

# gRPC codes that mean a broken connection if the client or its gRPC library set them. From the server, the same codes
# have other meanings.
_BROKEN = ("UNAVAILABLE", "UNKNOWN", "INTERNAL", "CANCELLED")


def may_repeat(error: RunyardError, repeatable: bool) -> bool:
    """Whether a call may be retried after this error."""
    if error.error_code == "THROTTLED":
        return True
    if error.is_from_server:
        return repeatable and error.error_code in ("UNAVAILABLE", "CONTENDED")
    if error.grpc_code != "UNAVAILABLE":
        return False
    return repeatable or not error.was_sent


def may_reconnect(error: RunyardError) -> bool:
    """Whether a stream may be reopened at its cursor after this error."""
    if error.is_from_server:
        return error.error_code in ("UNAVAILABLE", "THROTTLED")
    return error.grpc_code in _BROKEN


class Backoff:
    """Exponential backoff with jitter. It ends `patience` seconds after the first failure since the last success, or
    after `max_retries` retries; None means no limit."""

    def __init__(self, patience: float, max_retries: int | None = None) -> None:
        self.patience = patience
        self.max_retries = max_retries
        self.failures = 0
        self.since: float | None = None

    def succeeded(self) -> None:
        self.failures = 0
        self.since = None

    def was_open(self, seconds: float) -> None:
        """Records how long a stream was open before it ended."""
        if seconds >= STEADY:
            self.succeeded()

    def next_pause(self, error: RunyardError, now: float) -> float | None:
        """Returns the pause before the next attempt in seconds, or None if there may be no further attempt."""
        if self.max_retries is not None and self.failures >= self.max_retries:
            return None
        if self.since is None:
            self.since = now
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self.failures, 16)) * (0.5 + random.random() / 2)
        self.failures += 1
        # The random pause is added to the server's retry delay, so that waiting clients do not retry all at once.
        if error.retry_after is not None:
            pause += error.retry_after
        return None if now + pause > self.since + self.patience else pause
