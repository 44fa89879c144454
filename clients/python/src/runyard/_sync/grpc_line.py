# Generated from runyard/_async by make_sync.py: edit the source there.
"""Calls and streams over gRPC."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc

from runyard._methods import Method, Req, Res
from runyard._options import CHANNEL_OPTIONS, Options
from runyard.errors import error_of


class GrpcStream:
    """An open stream. Failures are raised as RunyardError."""

    def __init__(self, call: Any, url: str) -> None:
        self.call = call
        self.url = url

    def metadata(self) -> dict[str, str]:
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

    def close(self) -> None:
        self.call.cancel()


class GrpcLine:
    """A gRPC channel, opened by the first call: creating a client sends nothing."""

    name = "grpc"

    def __init__(self, options: Options, *, is_separate: bool = False) -> None:
        self.options = options
        # gRPC shares the connections of channels to the same address, and remembers that they failed.
        self.is_separate = is_separate
        self.channel: grpc.Channel | None = None
        self.opening = threading.Lock()

    def open(self) -> grpc.Channel:
        # Threads may share a client, and only one of them may open the channel.
        with self.opening:
            if self.channel is None:
                options = self.options
                arguments = [*CHANNEL_OPTIONS]
                if self.is_separate:
                    arguments.append(("grpc.use_local_subchannel_pool", 1))
                if options.proxy:
                    arguments.append(("grpc.http_proxy", options.proxy))
                if options.is_secure:
                    credentials = grpc.ssl_channel_credentials(options.root_certificates)
                    self.channel = grpc.secure_channel(options.address, credentials, options=arguments)
                else:
                    self.channel = grpc.insecure_channel(options.address, options=arguments)
            return self.channel

    def unary(self, method: Method[Req, Res], request: Req, timeout: float) -> Res:
        """Makes a unary call. Raises RunyardError."""
        unary = self.open().unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        try:
            answer: Res = unary(request, timeout=timeout, metadata=self.options.metadata())
        except grpc.RpcError as raised:
            raise error_of(raised, self.options.url) from None
        return answer

    def stream(self, method: Method[Any, Any], request: Any, timeout: float | None) -> GrpcStream:
        """Opens a stream. Its methods raise the errors."""
        streamed = self.open().unary_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        return GrpcStream(streamed(request, timeout=timeout, metadata=self.options.metadata()), self.options.url)

    def close(self) -> None:
        if self.channel is not None:
            self.channel.close()
            self.channel = None
