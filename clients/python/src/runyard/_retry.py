"""When a call is made again, and after which pause. No I/O, so that it can be tested without any."""

from __future__ import annotations

import random

from runyard.errors import RunyardError

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
# A stream that was open for so long was a success, even if nothing came through it.
STEADY = 5.0

# gRPC codes of a connection that broke, when it is not the server that says them.
_BROKEN = ("UNAVAILABLE", "UNKNOWN", "INTERNAL", "CANCELLED")
# What gRPC says when the request has not left.
_NEVER_SENT = "failed to connect to all addresses"


def may_repeat(error: RunyardError, repeatable: bool) -> bool:
    """Whether a call may be made again after this."""
    if error.error_code == "THROTTLED":
        return True
    if error.is_from_server:
        return repeatable and error.error_code in ("UNAVAILABLE", "CONTENDED")
    if error.grpc_code != "UNAVAILABLE":
        return False
    return repeatable or _NEVER_SENT in error.message


def may_reconnect(error: RunyardError) -> bool:
    """Whether a stream may be opened again at its cursor after this."""
    if error.is_from_server:
        return error.error_code in ("UNAVAILABLE", "THROTTLED")
    return error.grpc_code in _BROKEN


class Backoff:
    """Pauses that double, with jitter, until the patience is used up. Success starts it anew."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.failures = 0
        self.since: float | None = None

    def succeeded(self) -> None:
        self.failures = 0
        self.since = None

    def was_open(self, seconds: float) -> None:
        """A stream has ended that was open for so long."""
        if seconds >= STEADY:
            self.succeeded()

    def next_pause(self, error: RunyardError, now: float) -> float | None:
        """The pause before the next attempt; None when it would end too late."""
        if self.since is None:
            self.since = now
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self.failures, 16)) * (0.5 + random.random() / 2)
        self.failures += 1
        # The server's own time is kept; a little is added so that all who wait do not come back at once.
        if error.retry_after is not None:
            pause += error.retry_after
        return None if now + pause > self.since + self.patience else pause
