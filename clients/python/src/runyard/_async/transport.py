"""Calls and streams over one gRPC channel, with repeats, deadlines and errors as exceptions."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, TypeVar

import grpc
import grpc.aio

from runyard._methods import Method, Req, Res
from runyard._options import CHANNEL_OPTIONS, Options
from runyard._retry import Backoff, may_repeat
from runyard.errors import DeadlineError, RunyardError, error_of
from runyard.models import to_model

T = TypeVar("T")


class AsyncLine:
    """The channel itself, opened when it is first used: one of asyncio belongs to the loop that runs then."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.channel: grpc.aio.Channel | None = None
        self.opening = threading.Lock()

    def open(self) -> grpc.aio.Channel:
        # Threads may share a client; they share its channel, too.
        with self.opening:
            if self.channel is None:
                options = self.options
                if options.is_secure:
                    credentials = grpc.ssl_channel_credentials(options.root_certificates)
                    self.channel = grpc.aio.secure_channel(options.address, credentials, options=CHANNEL_OPTIONS)
                else:
                    self.channel = grpc.aio.insecure_channel(options.address, options=CHANNEL_OPTIONS)
            return self.channel

    async def close(self) -> None:
        if self.channel is not None:
            await self.channel.close()
            self.channel = None


class AsyncStream:
    """One opened stream; errors come as ours. Leaving the `with` hangs up."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.call.cancel()

    async def metadata(self) -> dict[str, str]:
        """What the server says before the first message."""
        try:
            return {str(key): str(value) for key, value in await self.call.initial_metadata() or ()}
        except grpc.RpcError as raised:
            raise error_of(raised) from None

    async def messages(self) -> AsyncIterator[Any]:
        try:
            async for message in self.call:
                yield message
        except grpc.RpcError as raised:
            raise error_of(raised) from None


class AsyncTransport:
    """What the services call through; copies with other options share the channel."""

    def __init__(self, options: Options, line: AsyncLine | None = None) -> None:
        self.options = options
        self.line = line or AsyncLine(options)

    def with_timeout(self, seconds: float) -> AsyncTransport:
        return AsyncTransport(replace(self.options, timeout=seconds), self.line)

    async def call(self, method: Method[Req, Res], request: Req) -> Res:
        """A unary call, repeated while that is safe and the time allows it."""
        deadline = time.monotonic() + self.options.timeout
        backoff = Backoff(self.options.timeout)
        while True:
            error = None
            try:
                return await self._once(method, request, max(deadline - time.monotonic(), 0.001))
            except grpc.RpcError as raised:
                error = error_of(raised)
            pause = backoff.next_pause(error, time.monotonic()) if may_repeat(error, method.repeatable) else None
            if pause is None:
                raise error
            await asyncio.sleep(pause)

    async def load(self, method: Method[Req, Res], request: Req, wanted: type[T]) -> T:
        """A unary call, its answer as the class for it."""
        answer = await self.call(method, request)
        return to_model(answer, wanted)

    async def _once(self, method: Method[Req, Res], request: Req, timeout: float) -> Res:
        unary = self.line.open().unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        answer: Res = await unary(request, timeout=timeout, metadata=self.options.metadata())
        return answer

    def stream(self, method: Method[Req, Res], request: Req, timeout: float | None) -> AsyncStream:
        """One attempt of a streamed answer; whoever reads it knows where to go on."""
        streamed = self.line.open().unary_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        return AsyncStream(streamed(request, timeout=timeout, metadata=self.options.metadata()))

    async def pause(self, backoff: Backoff, error: RunyardError, deadline: float | None) -> None:
        """Waits before a stream is opened again, or raises what it failed with."""
        now = time.monotonic()
        pause = backoff.next_pause(error, now)
        if pause is None:
            raise error
        if deadline is not None and now + pause > deadline:
            await asyncio.sleep(max(deadline - now, 0))
            raise DeadlineError("the time to wait is over", error_code="DEADLINE_EXCEEDED")
        await asyncio.sleep(pause)
