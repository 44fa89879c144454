# Generated from runyard/_async by make_sync.py: edit the source there.
"""The choice between gRPC and HTTP/1.1.

The first call decides. If gRPC cannot connect, a call over HTTP shows whether this is because of the network: then
all calls use HTTP. A call that must not be repeated never decides; a call that only reads goes first.
"""

from __future__ import annotations

import time
from typing import Any

from runyard._sync.grpc_line import GrpcLine, GrpcStream
from runyard._sync.http_line import HttpLine, HttpStream
from runyard._methods import LIST_MODES, Method, Req, Res
from runyard._options import Options
from runyard.errors import RunyardError

# Maximum time in seconds of a call that only finds out whether HTTP works.
TRIAL_TIMEOUT = 10.0
# gRPC codes of failures that can come from a network or a proxy that does not support HTTP/2.
_SUSPICIOUS = ("UNAVAILABLE", "UNKNOWN", "INTERNAL", "UNIMPLEMENTED", "UNAUTHENTICATED", "PERMISSION_DENIED")


class Lines:
    """The connections of a client. Its copies with other timeouts share this object."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.grpc = GrpcLine(options)
        self.http = HttpLine(options)
        self.chosen: GrpcLine | HttpLine | None = None
        if options.transport != "auto":
            self.chosen = self.http if options.transport == "http" else self.grpc

    def unary(self, method: Method[Req, Res], request: Req, timeout: float) -> Res:
        """Makes a unary call. Raises RunyardError."""
        deadline = time.monotonic() + timeout
        if self.chosen is None and not method.repeatable:
            self._choose(timeout)
        if self.chosen is not None:
            return self.chosen.unary(method, request, max(deadline - time.monotonic(), 0.001))
        try:
            answer = self.grpc.unary(method, request, timeout)
        except RunyardError as error:
            if error.is_from_server:
                self.chosen = self.chosen or self.grpc
                raise
            line = self._try_again(error, deadline)
            if line is None:
                raise
        else:
            self.chosen = self.chosen or self.grpc
            return answer
        return line.unary(method, request, max(deadline - time.monotonic(), 0.001))

    def stream(
        self, method: Method[Any, Any], request: Any, timeout: float | None
    ) -> GrpcStream | HttpStream:
        """Opens a stream. Raises RunyardError, now or when the stream is read."""
        if self.chosen is None:
            longest = self.options.timeout
            self._choose(longest if timeout is None else min(timeout, longest))
        line = self.chosen or self.grpc
        return line.stream(method, request, timeout)

    def _choose(self, timeout: float) -> None:
        """Makes a call that decides. Raises its error if neither gRPC nor HTTP works."""
        try:
            self.unary(LIST_MODES, LIST_MODES.request(), timeout)
        except RunyardError as error:
            if self.chosen is None:
                # The call of the user was not sent.
                error.was_sent = False
                raise

    def _try_again(self, error: RunyardError, deadline: float) -> GrpcLine | HttpLine | None:
        """Chooses the transport after gRPC failed with this error. Returns None if HTTP fails, too."""
        if error.grpc_code not in _SUSPICIOUS or not self._works(self.http, deadline):
            return None
        # A server that has just started refused gRPC a moment ago. Other calls may still use the first channel.
        again = GrpcLine(self.options, is_separate=True)
        works = self._works(again, deadline)
        if self.chosen is None:
            self.chosen = again if works else self.http
        if self.chosen is not again:
            again.close()
        return self.chosen

    def _works(self, line: GrpcLine | HttpLine, deadline: float) -> bool:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        try:
            line.unary(LIST_MODES, LIST_MODES.request(), min(left, TRIAL_TIMEOUT))
        except RunyardError as error:
            return error.is_from_server
        return True

    def close(self) -> None:
        for line in (self.grpc, self.http, self.chosen):
            if line is not None:
                line.close()
