# Made from runyard/_async by make_sync.py: change it there.
"""Calls and streams over one gRPC channel, with repeats, deadlines and errors as exceptions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

import grpc

from runyard._methods import Method, Req, Res
from runyard._options import CHANNEL_OPTIONS, Options
from runyard._retry import Backoff, may_repeat
from runyard.errors import DeadlineError, RunyardError, error_of
from runyard.models import to_model

T = TypeVar("T")


class Line:
    """The channel itself, opened when it is first used: nothing is sent before."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.channel: grpc.Channel | None = None
        self.opening = threading.Lock()

    def open(self) -> grpc.Channel:
        # Threads may share a client; they share its channel, too.
        with self.opening:
            if self.channel is None:
                options = self.options
                if options.is_secure:
                    credentials = grpc.ssl_channel_credentials(options.root_certificates)
                    self.channel = grpc.secure_channel(options.address, credentials, options=CHANNEL_OPTIONS)
                else:
                    self.channel = grpc.insecure_channel(options.address, options=CHANNEL_OPTIONS)
            return self.channel

    def close(self) -> None:
        if self.channel is not None:
            self.channel.close()
            self.channel = None


class Stream:
    """One opened stream; errors come as ours. Leaving the `with` hangs up."""

    def __init__(self, call: Any) -> None:
        self.call = call

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.call.cancel()

    def metadata(self) -> dict[str, str]:
        """What the server says before the first message."""
        try:
            return {str(key): str(value) for key, value in self.call.initial_metadata() or ()}
        except grpc.RpcError as raised:
            raise error_of(raised) from None

    def messages(self) -> Iterator[Any]:
        try:
            for message in self.call:
                yield message
        except grpc.RpcError as raised:
            raise error_of(raised) from None


class Transport:
    """What the services call through; copies with other options share the channel."""

    def __init__(self, options: Options, line: Line | None = None) -> None:
        self.options = options
        self.line = line or Line(options)

    def with_timeout(self, seconds: float) -> Transport:
        return Transport(replace(self.options, timeout=seconds), self.line)

    def call(self, method: Method[Req, Res], request: Req) -> Res:
        """A unary call, repeated while that is safe and the time allows it."""
        deadline = time.monotonic() + self.options.timeout
        backoff = Backoff(self.options.timeout)
        while True:
            error = None
            try:
                return self._once(method, request, max(deadline - time.monotonic(), 0.001))
            except grpc.RpcError as raised:
                error = error_of(raised)
            pause = backoff.next_pause(error, time.monotonic()) if may_repeat(error, method.repeatable) else None
            if pause is None:
                raise error
            time.sleep(pause)

    def load(self, method: Method[Req, Res], request: Req, wanted: type[T]) -> T:
        """A unary call, its answer as the class for it."""
        answer = self.call(method, request)
        return to_model(answer, wanted)

    def _once(self, method: Method[Req, Res], request: Req, timeout: float) -> Res:
        unary = self.line.open().unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        answer: Res = unary(request, timeout=timeout, metadata=self.options.metadata())
        return answer

    def stream(self, method: Method[Req, Res], request: Req, timeout: float | None) -> Stream:
        """One attempt of a streamed answer; whoever reads it knows where to go on."""
        streamed = self.line.open().unary_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        return Stream(streamed(request, timeout=timeout, metadata=self.options.metadata()))

    def pause(self, backoff: Backoff, error: RunyardError, deadline: float | None) -> None:
        """Waits before a stream is opened again, or raises what it failed with."""
        now = time.monotonic()
        pause = backoff.next_pause(error, now)
        if pause is None:
            raise error
        if deadline is not None and now + pause > deadline:
            time.sleep(max(deadline - now, 0))
            raise DeadlineError("the time to wait is over", error_code="DEADLINE_EXCEEDED")
        time.sleep(pause)
