"""Calls and streams over HTTP/1.1, with JSON and server-sent events."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx

from runyard import _http
from runyard._methods import READ_FILE, Method, Req, Res
from runyard._options import Options
from runyard._plain_json import from_plain
from runyard._sse import EventParser
from runyard.errors import InternalError


class AsyncHttpStream:
    """An open stream: the events of runs, or the content of a file."""

    def __init__(self, response: httpx.Response, method: Method[Any, Any], options: Options) -> None:
        self.response = response
        self.method = method
        self.options = options

    async def metadata(self) -> dict[str, str]:
        return dict(self.response.headers)

    async def messages(self) -> AsyncIterator[Any]:
        try:
            if self.method is READ_FILE:
                async for chunk in self.response.aiter_bytes():
                    yield self.method.response(data=chunk)
                return
            parser = EventParser()
            async for chunk in self.response.aiter_bytes():
                for name, data in parser.feed(chunk):
                    if name == "fault":
                        raise _http.fault(data, self.options)
                    yield from_plain(self.method.response, json.loads(data))
        except (httpx.HTTPError, httpx.StreamError) as raised:
            raise _http.broken(raised, self.options, is_stream=True) from None
        except ValueError as raised:
            raise InternalError(f"an event cannot be read: {raised}", error_code="INTERNAL") from None

    async def close(self) -> None:
        await self.response.aclose()


class AsyncHttpLine:
    """A pool of HTTP/1.1 connections, opened by the first call."""

    name = "http"

    def __init__(self, options: Options) -> None:
        self.options = options
        self.client: httpx.AsyncClient | None = None
        self.opening = threading.Lock()

    def open(self) -> httpx.AsyncClient:
        # Threads may share a client, and only one of them may open the pool.
        with self.opening:
            if self.client is None:
                self.client = httpx.AsyncClient(**_http.client_arguments(self.options))
            return self.client

    async def unary(self, method: Method[Req, Res], request: Req, timeout: float) -> Res:
        """Makes a unary call. Raises RunyardError."""
        options = self.options
        client = self.open()
        wanted = client.build_request(**_http.unary_request(method, request, timeout, options))
        try:
            response = await client.send(wanted, stream=True)
            try:
                body = await self._body(response)
            finally:
                await response.aclose()
        except httpx.HTTPError as raised:
            raise _http.broken(raised, options) from None
        headers = response.headers
        if response.status_code != 200:
            raise _http.error_of_answer(response.status_code, headers, body, options)
        answer = _http.answer_of(method.response, headers, body)
        if answer is None:
            raise _http.strange_answer(response.status_code, headers.get("x-request-id"), options)
        return answer

    async def stream(self, method: Method[Any, Any], request: Any, timeout: float | None) -> AsyncHttpStream:
        """Opens a stream. Raises RunyardError."""
        options = self.options
        client = self.open()
        wanted = client.build_request(**_http.stream_request(method, request, timeout, options))
        try:
            response = await client.send(wanted, stream=True)
            if response.status_code < 300 and _http.is_expected(method, response.headers):
                return AsyncHttpStream(response, method, options)
            try:
                body = await self._body(response)
            finally:
                await response.aclose()
        except httpx.HTTPError as raised:
            raise _http.broken(raised, options, is_stream=True) from None
        raise _http.error_of_answer(response.status_code, response.headers, body, options)

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _http.MAX_ANSWER_BYTES:
                raise _http.too_large(self.options)
        return bytes(body)

    async def close(self) -> None:
        if self.client is not None:
            await self.client.aclose()
            self.client = None
