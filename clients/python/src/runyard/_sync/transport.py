# Generated from runyard/_async by make_sync.py: edit the source there.
"""Calls and streams over one gRPC channel, with retries, deadlines and typed exceptions."""

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
    """A gRPC channel, opened by the first call: creating a client sends nothing."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.channel: grpc.Channel | None = None
        self.opening = threading.Lock()

    def open(self) -> grpc.Channel:
        # Threads may share a client, and only one of them may open the channel.
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
    """An open stream. Failures are raised as RunyardError. Leaving the `with` block cancels the stream."""

    def __init__(self, call: Any, url: str) -> None:
        self.call = call
        self.url = url

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.call.cancel()

    def metadata(self) -> dict[str, str]:
        """Waits for the initial metadata of the response, and returns it."""
        try:
            return {str(key): str(value) for key, value in self.call.initial_metadata() or ()}
        except grpc.RpcError as raised:
            raise error_of(raised, self.url) from None

    def messages(self) -> Iterator[Any]:
        try:
            for message in self.call:
                yield message
        except grpc.RpcError as raised:
            raise error_of(raised, self.url) from None


class Transport:
    """Performs the calls of all services. A copy of this object with other options shares the channel."""

    def __init__(self, options: Options, line: Line | None = None) -> None:
        self.options = options
        self.line = line or Line(options)

    def with_timeout(self, seconds: float) -> Transport:
        return Transport(replace(self.options, timeout=seconds), self.line)

    def call(self, method: Method[Req, Res], request: Req) -> Res:
        """Makes a unary call. After a failure, retries the call if this is safe and the timeout has not passed."""
        deadline = time.monotonic() + self.options.timeout
        backoff = Backoff(self.options.timeout)
        while True:
            error = None
            try:
                return self._once(method, request, max(deadline - time.monotonic(), 0.001))
            except grpc.RpcError as raised:
                error = error_of(raised, self.options.url)
            pause = backoff.next_pause(error, time.monotonic()) if may_repeat(error, method.repeatable) else None
            if pause is None:
                raise error
            time.sleep(pause)

    def load(self, method: Method[Req, Res], request: Req, wanted: type[T]) -> T:
        """Makes a unary call and converts the response to the model class `wanted`."""
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
        """Opens a stream without retries. After a failure, the caller must open a new stream at its cursor."""
        streamed = self.line.open().unary_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        return Stream(streamed(request, timeout=timeout, metadata=self.options.metadata()), self.options.url)

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
