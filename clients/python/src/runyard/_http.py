"""Requests and errors of the HTTP transport. Performs no I/O.

Unary calls are POST requests with JSON to the path of the method, as in the Connect protocol, because its errors have
the same typed details as those of gRPC. Streams use the paths of the HTTP API: events are server-sent events, and a
file is sent as it is.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from google.protobuf import json_format
from google.protobuf.message import Message

from runyard import _methods as methods
from runyard._connection import code_of_status, plain_message, status_message
from runyard._options import VERSION, Options
from runyard.errors import (
    DeadlineError,
    ErrorDetails,
    RunyardError,
    TooLargeError,
    UnavailableError,
    class_of,
    typed_error,
)
from runyard.models import M

# The same maximum size as that of a gRPC message.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
# Maximum time of one connection attempt in seconds.
CONNECT_TIMEOUT = 10.0
# Longest timeout that is sent to the server: the header `grpc-timeout` has up to eight digits.
MAX_TIMEOUT_MS = 99_999_999
# Maximum time in seconds without data on a stream. Servers send a heartbeat every 10 seconds by default.
SILENCE_TIMEOUT = 60.0

# The HTTP verb and the path of each method that streams.
STREAMS = {
    methods.STREAM_RUN.name: ("GET", "/v1/agent-run/{agent_run_id}/stream"),
    methods.STREAM_RUNS.name: ("POST", "/v1/agent-runs/stream"),
    methods.READ_FILE.name: ("GET", "/v1/sandboxes/{sandbox_id}/files/content"),
}

# The gRPC codes of the HTTP statuses that the API uses, and the exceptions among the codes of the API.
_CODE_OF_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "FAILED_PRECONDITION",
    413: "RESOURCE_EXHAUSTED",
    416: "OUT_OF_RANGE",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_CONNECT_CODES = frozenset({code.lower() for code in _CODE_OF_STATUS.values()} | {"canceled", "unknown", "aborted"})
_CODE_OF_REASON = {"CONTENDED": "ABORTED", "MODEL_ACCESS_DENIED": "PERMISSION_DENIED"}


def client_arguments(options: Options) -> dict[str, Any]:
    """Returns the arguments of httpx.Client."""
    arguments: dict[str, Any] = {
        "headers": {"user-agent": f"runyard-python/{VERSION}"},
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=16),
        "proxy": options.proxy,
    }
    if options.root_certificates is not None:
        import ssl

        arguments["verify"] = ssl.create_default_context(cadata=options.root_certificates.decode())
    return arguments


def unary_request(
    method: methods.Method[Any, Any], request: Message, timeout: float, options: Options
) -> dict[str, Any]:
    """Returns the arguments of `build_request` for a unary call."""
    return {
        "method": "POST",
        "url": options.url + method.path,
        "content": json_format.MessageToJson(request, indent=None).encode(),
        "headers": {
            "content-type": "application/json",
            "connect-protocol-version": "1",
            "connect-timeout-ms": str(min(max(int(timeout * 1000), 1), MAX_TIMEOUT_MS)),
            **dict(options.metadata()),
        },
        "timeout": httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT), pool=None),
    }


def stream_request(
    method: methods.Method[Any, Any], request: Message, timeout: float | None, options: Options
) -> dict[str, Any]:
    """Returns the arguments of `build_request` for a stream."""
    verb, path = STREAMS[method.name]
    values = json_format.MessageToDict(request, preserving_proto_field_name=True)
    names = [name for name in values if f"{{{name}}}" in path]
    path = path.format_map({name: quote(values.pop(name), safe="") for name in names})
    # A compressed stream could be held back by a proxy until a block is full.
    headers = {"accept-encoding": "identity", **dict(options.metadata())}
    content = None
    if verb == "POST":
        content = json.dumps(values).encode()
        headers["content-type"] = "application/json"
    elif values:
        texts = {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items()}
        path += "?" + urlencode(texts)
    silence = SILENCE_TIMEOUT
    if timeout is not None:
        headers["grpc-timeout"] = f"{min(max(int(timeout * 1000), 1), MAX_TIMEOUT_MS)}m"
        silence = min(silence, timeout + 1)
    return {
        "method": verb,
        "url": options.url + path,
        "content": content,
        "headers": headers,
        "timeout": httpx.Timeout(silence, connect=CONNECT_TIMEOUT, write=SILENCE_TIMEOUT, pool=None),
    }


def error_of_answer(status: int, headers: Mapping[str, str], body: bytes, options: Options) -> RunyardError:
    """Returns the error for a response with an error status, from the server or from a proxy."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    request_id = headers.get("x-request-id")
    if isinstance(value, dict):
        if value.get("code") in _CONNECT_CODES and isinstance(value.get("details", []), list):
            return _connect_error(value, request_id, options)
        if "x-error-code" in headers and "detail" in value:
            return _api_error(status, headers, value["detail"], request_id)
    return strange_answer(status, request_id, options)


def strange_answer(status: int, request_id: str | None, options: Options) -> RunyardError:
    """Returns the error for an answer that does not come from a Runyard server."""
    is_other = status < 300
    code = "UNIMPLEMENTED" if is_other else code_of_status(status)
    return class_of(code, None, False)(
        f"{options.url} is not a Runyard server" if is_other else status_message(status, options.url),
        error_code=code,
        grpc_code=code,
        request_id=request_id,
        transport_message=f"HTTP status {status}",
    )


def _connect_error(value: Mapping[str, Any], request_id: str | None, options: Options) -> RunyardError:
    code = "CANCELLED" if value["code"] == "canceled" else str(value["code"]).upper()
    details = [one for one in value.get("details", []) if isinstance(one, dict)]
    return typed_error(
        code,
        str(value.get("message") or ""),
        [(str(one.get("type")), _unpadded(one.get("value"))) for one in details],
        request_id=request_id,
        plain=lambda: plain_message(code, "", options.url),
    )


def _unpadded(text: Any) -> bytes:
    try:
        return base64.b64decode(str(text) + "=" * (-len(str(text)) % 4))
    except binascii.Error:
        return b""


def _api_error(status: int, headers: Mapping[str, str], detail: Any, request_id: str | None) -> RunyardError:
    reason = headers["x-error-code"]
    code = _CODE_OF_REASON.get(reason) or _CODE_OF_STATUS.get(status, "UNKNOWN")
    refusal = detail if isinstance(detail, dict) else None
    retry_after = headers.get("retry-after", "")
    return class_of(code, reason, refusal is not None)(
        str(refusal.get("message") or reason) if refusal else str(detail),
        error_code=reason,
        grpc_code=code,
        request_id=request_id,
        retry_after=float(retry_after) if retry_after.isdecimal() else None,
        details=_details_of(refusal) if refusal else None,
        is_from_server=True,
    )


def _details_of(refusal: Mapping[str, Any]) -> ErrorDetails:
    known = {
        name: refusal[name] for name in ("running_count", "current_count", "limit", "tier_name") if name in refusal
    }
    return ErrorDetails(running_thread_ids=tuple(refusal.get("running_thread_ids") or ()), **known)


def fault(data: bytes, options: Options) -> RunyardError:
    """Returns the error for the event `fault`, which ends a stream. It has no code. If the failure lasts, the next
    attempt to open the stream reports it."""
    try:
        detail = json.loads(data)["detail"]
    except (ValueError, KeyError, TypeError):
        detail = None
    message = detail if isinstance(detail, str) else f"{options.url} ended the stream"
    return UnavailableError(message, error_code="UNAVAILABLE", grpc_code="UNAVAILABLE", transport_message="event fault")


def broken(raised: Exception, options: Options, *, is_stream: bool = False) -> RunyardError:
    """Returns the error for an exception of httpx."""
    reported = _reported(raised)
    if isinstance(raised, httpx.TimeoutException) and not isinstance(raised, httpx.ConnectTimeout) and not is_stream:
        return DeadlineError(
            plain_message("DEADLINE_EXCEEDED", "", options.url),
            error_code="DEADLINE_EXCEEDED",
            grpc_code="DEADLINE_EXCEEDED",
            transport_message=reported,
        )
    never = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
    text = reported
    if isinstance(raised, httpx.ConnectTimeout) and "handshake" not in reported:
        text = "timed out"
    elif options.proxy and isinstance(raised, httpx.ConnectError) and "certificate" not in reported.lower():
        text = "proxy"
    message = plain_message("UNAVAILABLE", text, options.url)
    if isinstance(raised, httpx.ProxyError) and "407" in reported:
        message = status_message(407, options.url)
    return UnavailableError(
        message,
        error_code="UNAVAILABLE",
        grpc_code="UNAVAILABLE",
        transport_message=reported,
        was_sent=not isinstance(raised, never),
    )


def _reported(raised: BaseException) -> str:
    """Returns the texts of an exception and of its causes."""
    texts: list[str] = []
    pending: list[BaseException | None] = [raised]
    while pending and len(texts) < 16:
        each = pending.pop(0)
        if each is None:
            continue
        texts.append(f"{type(each).__name__}: {each}" if str(each) else type(each).__name__)
        pending += [each.__cause__ or each.__context__, *getattr(each, "exceptions", ())]
    return "; ".join(texts)


def answer_of(wanted: type[M], headers: Mapping[str, str], body: bytes) -> M | None:
    """Returns the message of a successful unary call, or None if another server answered."""
    if not headers.get("content-type", "").startswith("application/json"):
        return None
    message = wanted()
    try:
        json_format.Parse(body, message, ignore_unknown_fields=True)
    except json_format.ParseError:
        return None
    return message


def is_expected(method: methods.Method[Any, Any], headers: Mapping[str, str]) -> bool:
    """Whether a response has the content type of the stream. A file can have any type."""
    return method is methods.READ_FILE or headers.get("content-type", "").startswith("text/event-stream")


def too_large(options: Options) -> RunyardError:
    """Returns the error for an answer that is too large to be an answer of the API."""
    message = f"the answer of {options.url} has more than {MAX_ANSWER_BYTES} bytes"
    return TooLargeError(message, error_code="TOO_LARGE", grpc_code="RESOURCE_EXHAUSTED")
