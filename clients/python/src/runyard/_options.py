"""Client options: server address, token and timeouts."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from urllib.parse import urlsplit

from runyard.errors import AuthenticationError

Token = str | Callable[[], str]

DEFAULT_URL = "http://127.0.0.1:8080"

NO_TOKEN = "no token is set; pass a token to the client, or set RUNYARD_TOKEN (`runyard token` prints one)"

VERSION = metadata.version("runyard")

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
    token: Token | None = field(repr=False)
    timeout: float
    reconnect_for: float
    root_certificates: bytes | None = field(default=None, repr=False)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata of a call. Fails if there is no token, because the server would refuse the call."""
        if self.token == "":
            return ()
        token = self.token() if callable(self.token) else self.token
        if not token:
            raise AuthenticationError(NO_TOKEN, error_code="NOT_AUTHENTICATED")
        return (("authorization", f"Bearer {token}"),)

    @property
    def url(self) -> str:
        return f"{'https' if self.is_secure else 'http'}://{self.address}"


def read_options(
    base_url: str | None,
    token: Token | None,
    timeout: float,
    reconnect_for: float,
    root_certificates: bytes | None,
) -> Options:
    base_url = base_url or os.environ.get("RUNYARD_SERVER") or DEFAULT_URL
    token = token if token is not None else os.environ.get("RUNYARD_TOKEN") or None
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"base_url must look like {DEFAULT_URL}")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
        raise ValueError("base_url must contain only a scheme, a host and a port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if timeout <= 0:
        raise ValueError("timeout must be greater than 0 seconds")
    is_secure = parts.scheme == "https"
    address = f"{host}:{parts.port or (443 if is_secure else 80)}"
    return Options(address, is_secure, token, timeout, reconnect_for, root_certificates)
