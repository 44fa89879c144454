"""Client options: server address, token, transport and timeouts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Literal
from urllib.parse import urlsplit

from runyard.errors import AuthenticationError

Token = str | Callable[[], str]

TransportName = Literal["auto", "grpc", "http"]
TRANSPORTS: tuple[TransportName, ...] = ("auto", "grpc", "http")

DEFAULT_URL = "http://127.0.0.1:8080"

NO_TOKEN = "no token is set; pass a token to the client, or set RUNYARD_TOKEN (`runyard token` prints one)"

VERSION = metadata.version("runyard")

# gRPC encodes headers whose names end with -bin.
_HEADER_NAME = re.compile(r"[a-z0-9_.-]+(?<!-bin)")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
# Headers that the transports set.
_OWN_HEADERS = frozenset(
    ("connection", "content-length", "content-type", "host", "te", "transfer-encoding", "upgrade", "user-agent")
)

CHANNEL_OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.primary_user_agent", f"runyard-python/{VERSION}"),
    # A page of thread messages can be large: the arguments of one tool call may take several megabytes.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    # `_retry` decides when to retry. gRPC's default backoff could delay a retry by a minute.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Despite its name, this option limits the time of one connection attempt.
    ("grpc.min_reconnect_backoff_ms", 10_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Finds a dead connection within a minute, even on a silent stream.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
]


@dataclass(frozen=True)
class Options:
    """The options of a client, with defaults applied."""

    address: str
    is_secure: bool
    prefix: str
    token: Token | None = field(repr=False)
    timeout: float
    reconnect_for: float
    root_certificates: bytes | None = field(default=None, repr=False)
    transport: TransportName = "auto"
    proxy: str | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    max_retries: int | None = None

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The headers of a call. Fails if there is no token, because the server would refuse the call."""
        if self.token == "":
            return self.headers
        token = self.token() if callable(self.token) else self.token
        if not token:
            raise AuthenticationError(NO_TOKEN, error_code="NOT_AUTHENTICATED")
        return (*self.headers, ("authorization", f"Bearer {token}"))

    @property
    def url(self) -> str:
        return f"{'https' if self.is_secure else 'http'}://{self.address}{self.prefix}"


def read_options(
    base_url: str | None,
    token: Token | None,
    *,
    timeout: float,
    reconnect_for: float,
    max_retries: int | None,
    transport: TransportName | None,
    proxy: str | None,
    headers: Mapping[str, str] | None,
    root_certificates: bytes | None,
) -> Options:
    base_url = base_url or os.environ.get("RUNYARD_SERVER") or DEFAULT_URL
    token = token if token is not None else os.environ.get("RUNYARD_TOKEN") or None
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"base_url must look like {DEFAULT_URL}")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("base_url must contain only a scheme, a host, a port and a path prefix")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if timeout <= 0:
        raise ValueError("timeout must be greater than 0 seconds")
    if max_retries is not None and max_retries < 0:
        raise ValueError("max_retries must not be negative")
    is_secure = parts.scheme == "https"
    prefix = parts.path.rstrip("/")
    return Options(
        address=f"{host}:{parts.port or (443 if is_secure else 80)}",
        is_secure=is_secure,
        prefix=prefix,
        token=token,
        timeout=timeout,
        reconnect_for=reconnect_for,
        root_certificates=root_certificates,
        transport=_transport(transport, prefix, proxy),
        proxy=proxy,
        headers=_headers(headers or {}, may_authorize=token == ""),
        max_retries=max_retries,
    )


def _transport(given: str | None, prefix: str, proxy: str | None) -> TransportName:
    wanted = given or os.environ.get("RUNYARD_TRANSPORT") or "auto"
    if wanted not in TRANSPORTS:
        raise ValueError(f"transport must be one of: {', '.join(TRANSPORTS)}")
    if wanted == "grpc" and prefix:
        raise ValueError("gRPC has no path prefixes; use transport='http', or an address without a path")
    if wanted == "grpc" and proxy and urlsplit(proxy).scheme != "http":
        raise ValueError("gRPC needs a proxy whose address begins with http://; use transport='http'")
    # A path prefix works only over HTTP, and so do many proxies.
    return "http" if wanted == "auto" and (prefix or proxy) else wanted


def _headers(given: Mapping[str, str], *, may_authorize: bool) -> tuple[tuple[str, str], ...]:
    headers = tuple((name.lower(), value) for name, value in given.items())
    for name, value in headers:
        if (
            not _HEADER_NAME.fullmatch(name)
            or name in _OWN_HEADERS
            or name.startswith("grpc-")
            or name.endswith("-bin")
        ):
            raise ValueError(f"headers must not contain {name!r}")
        if name == "authorization" and not may_authorize:
            raise ValueError("headers must not contain 'authorization'; pass the token as `token`")
        # The message does not contain the value, which may be secret.
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the header {name!r} must be printable ASCII text")
    return headers
