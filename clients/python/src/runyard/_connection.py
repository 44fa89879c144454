"""Plain messages for failures of the connection: refused, broken, a proxy, a timeout.

The texts of the gRPC and HTTP libraries name frames and error codes of the transport, which do not help the user of a
client.
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
    (r"proxy", "the proxy did not connect to {url}; check its address and its rules"),
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


# The gRPC codes of HTTP statuses without an error of the API, as gRPC itself maps them.
_CODE_OF_STATUS = {
    400: "INTERNAL",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "UNIMPLEMENTED",
    407: "UNAUTHENTICATED",
    429: "UNAVAILABLE",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "UNAVAILABLE",
}


def code_of_status(status: int) -> str:
    """Returns the gRPC code of an HTTP status that does not come from a Runyard server."""
    return _CODE_OF_STATUS.get(status, "UNKNOWN")


def status_message(status: int, url: str) -> str:
    """Returns the message for an HTTP status that does not come from a Runyard server."""
    if status == 407:
        return "the proxy requires a user name and a password; add them to the address of the proxy"
    return f"{url} answered with HTTP status {status}; it is no Runyard server, or a proxy before it failed"


def plain_message(code: str, reported: str, url: str) -> str:
    """Returns the message for an error with this gRPC code, which does not come from the server."""
    where = url or "the server"
    text = reported.lower()
    if status := _STATUS.search(reported):
        return status_message(int(status[1]), where)
    for pattern, message in _CAUSES:
        if re.search(pattern, text):
            return message.format(url=where)
    return _BY_CODE.get(code, "the call to {url} failed").format(url=where)


def was_never_sent(reported: str) -> bool:
    """Whether the library reported that it sent no request."""
    return _UNSENT in reported
