"""Plain messages for failures that the gRPC library reports: a refused or broken connection, a proxy, a timeout.

The library's own texts name frames and error codes of the transport, which do not help the user of a client.
"""

from __future__ import annotations

import re

_STATUS = re.compile(r"http2 header with status: (\d+)", re.IGNORECASE)
_UNSENT = "failed to connect to all addresses"
# Each text of the library, in lower case, and the message.
_CAUSES = (
    (
        r"name or service not known|dns resolution failed|errors resolving|lookup failed|nodename nor servname",
        "the host of {url} is unknown",
    ),
    (
        r"certificate|ssl_error|tls|handshake|wrong_version_number",
        "no secure connection to {url}: the certificate is not trusted, or the address needs http://",
    ),
    (
        r"connection refused|errno 111|10061",
        "no server answers at {url}; check the address (base_url or RUNYARD_SERVER)",
    ),
    (
        r"timed out|timeout occurred",
        "{url} does not answer; check the address (base_url or RUNYARD_SERVER) and the network",
    ),
    (r"network is unreachable|no route to host", "{url} cannot be reached from this network"),
    (
        r"http1|missing content-type|invalid content-type|unexpected content-type|settings frame",
        "{url} is not a Runyard server, or a proxy before it does not forward gRPC",
    ),
    (r"message larger than max", "the message is larger than this client or the server accepts"),
)
_BY_CODE = {
    "UNAVAILABLE": "the connection to {url} broke",
    "INTERNAL": "the connection to {url} broke",
    "UNKNOWN": "the connection to {url} broke",
    "CANCELLED": "the call was cancelled, or the connection to {url} broke",
    "DEADLINE_EXCEEDED": "{url} did not answer in time",
    "UNIMPLEMENTED": "{url} does not offer this method; it may be older than this client, or no Runyard server",
    "UNAUTHENTICATED": "{url} requires another sign-in than the token",
    "PERMISSION_DENIED": "{url} refuses the call",
    "RESOURCE_EXHAUSTED": "{url} accepts no more calls at present",
}


def plain_message(code: str, reported: str, url: str) -> str:
    """Returns the message for an error with this gRPC code, which does not come from the server."""
    where = url or "the server"
    text = reported.lower()
    if status := _STATUS.search(reported):
        return f"{where} answered with HTTP status {status[1]}; it is no Runyard server, or a proxy before it failed"
    for pattern, message in _CAUSES:
        if re.search(pattern, text):
            return message.format(url=where)
    return _BY_CODE.get(code, "the call to {url} failed").format(url=where)


def was_never_sent(reported: str) -> bool:
    """Whether the library reported that it sent no request."""
    return _UNSENT in reported
