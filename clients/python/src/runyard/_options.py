"""Where the server is, who asks, and how patient the client is."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from urllib.parse import urlsplit

Token = str | Callable[[], str]

DEFAULT_URL = "http://127.0.0.1:8080"

VERSION = metadata.version("runyard")

CHANNEL_OPTIONS: list[tuple[str, int | str]] = [
    # So that the server's operator sees who calls.
    ("grpc.primary_user_agent", f"runyard-python/{VERSION}"),
    # Messages of a thread can be long; one call's arguments alone may have some megabytes.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    # When to try again is decided in `_retry`; the channel itself must not add a minute to it.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # How long one attempt to connect may take.
    ("grpc.min_reconnect_backoff_ms", 10_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A connection that is dead without a word is noticed within a minute, also while a stream is silent.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
]


@dataclass(frozen=True)
class Options:
    """What a client was made with."""

    address: str
    is_secure: bool
    token: Token | None = field(repr=False)
    timeout: float
    reconnect_for: float
    root_certificates: bytes | None = field(default=None, repr=False)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        token = self.token() if callable(self.token) else self.token
        return (("authorization", f"Bearer {token}"),) if token else ()

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
    token = token if token is not None else os.environ.get("RUNYARD_TOKEN")
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"base_url must look like {DEFAULT_URL}")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
        raise ValueError("base_url has a scheme, a host and a port, and nothing else")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if timeout <= 0:
        raise ValueError("timeout must be more than 0 seconds")
    is_secure = parts.scheme == "https"
    address = f"{host}:{parts.port or (443 if is_secure else 80)}"
    return Options(address, is_secure, token, timeout, reconnect_for, root_certificates)
