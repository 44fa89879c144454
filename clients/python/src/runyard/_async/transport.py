"""Calls and streams over one gRPC channel, with retries, deadlines and typed exceptions."""

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
    """A gRPC channel, opened by the first call: an asyncio channel belongs to the running event loop."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.channel: grpc.aio.Channel | None = None
        self.opening = threading.Lock()

    def open(self) -> grpc.aio.Channel:
        # Threads may share a client, and only one of them may open the channel.
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
    """An open stream. Failures are raised as RunyardError. Leaving the `with` block cancels the stream."""

    def __init__(self, call: Any, url: str) -> None:
        self.call = call
        self.url = url

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.call.cancel()

    async def metadata(self) -> dict[str, str]:
        """Waits for the initial metadata of the response, and returns it."""
        try:
            return {str(key): str(value) for key, value in await self.call.initial_metadata() or ()}
        except grpc.RpcError as raised:
            raise error_of(raised, self.url) from None

    async def messages(self) -> AsyncIterator[Any]:
        try:
            async for message in self.call:
                yield message
        except grpc.RpcError as raised:
            raise error_of(raised, self.url) from None


class AsyncTransport:
    """Performs the calls of all services. A copy of this object with other options shares the channel."""

    def __init__(self, options: Options, line: AsyncLine | None = None) -> None:
        self.options = options
        self.line = line or AsyncLine(options)

    def with_timeout(self, seconds: float) -> AsyncTransport:
        return AsyncTransport(replace(self.options, timeout=seconds), self.line)

    async def call(self, method: Method[Req, Res], request: Req) -> Res:
        """Makes a unary call. After a failure, retries the call if this is safe and the timeout has not passed."""
        deadline = time.monotonic() + self.options.timeout
        backoff = Backoff(self.options.timeout)
        while True:
            error = None
            try:
                return await self._once(method, request, max(deadline - time.monotonic(), 0.001))
            except grpc.RpcError as raised:
                error = error_of(raised, self.options.url)
            pause = backoff.next_pause(error, time.monotonic()) if may_repeat(error, method.repeatable) else None
            if pause is None:
                raise error
            await asyncio.sleep(pause)

    async def load(self, method: Method[Req, Res], request: Req, wanted: type[T]) -> T:
        """Makes a unary call and converts the response to the model class `wanted`."""
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
        """Opens a stream without retries. After a failure, the caller must open a new stream at its cursor."""
        streamed = self.line.open().unary_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        return AsyncStream(streamed(request, timeout=timeout, metadata=self.options.metadata()), self.options.url)

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
