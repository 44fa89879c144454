# Generated from runyard/_async by make_sync.py: edit the source there.
"""The client class. Its attributes give access to the services of the API."""

from __future__ import annotations

from collections.abc import Mapping

from runyard._sync.account import Admin, ApiKeys, OwnAccount
from runyard._sync.agents import Agents
from runyard._sync.files import Files
from runyard._sync.inputs import Inputs
from runyard._sync.memories import Memories
from runyard._sync.projects import Projects, Sandboxes
from runyard._sync.runs import Runs
from runyard._sync.schedules import Schedules
from runyard._sync.secrets import Secrets
from runyard._sync.shares import Shares
from runyard._sync.skills import Skills
from runyard._sync.threads import Threads
from runyard._sync.transport import Transport
from runyard._sync.triggers import Triggers
from runyard._sync.webhooks import Webhooks
from runyard._options import Token, TransportName, read_options


class Runyard:
    """A client for one server and one caller.

    Args:
        base_url: Address of the server, which may have a path prefix. Default: the environment variable RUNYARD_SERVER,
            or else http://127.0.0.1:8080.
        token: A token, an API key, or a function that returns the current token. Default: the environment variable
            RUNYARD_TOKEN. Without a token, calls fail. An empty string sends no token, for a proxy that adds one.
        timeout: Maximum time of a call in seconds, including retries. It does not apply to streams.
        reconnect_for: Maximum time in seconds for which a broken stream tries to reconnect.
        max_retries: Maximum number of retries of a call or, without new events, of a stream. Default: only `timeout`
            and `reconnect_for` limit them.
        transport: "grpc", "http" (JSON and server-sent events over HTTP/1.1), or "auto": gRPC, but HTTP if gRPC cannot
            connect, if the address has a path prefix, or if `proxy` is set. Default: the environment variable
            RUNYARD_TRANSPORT, or else "auto".
        proxy: Address of a proxy, such as http://user:password@proxy:3128. Default: the environment variables
            HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
        headers: Headers that are added to each request.
        root_certificates: PEM text that replaces the trusted root certificates.
    """

    def __init__(
        self,
        base_url: str | None = None,
        token: Token | None = None,
        *,
        timeout: float = 60.0,
        reconnect_for: float = 120.0,
        max_retries: int | None = None,
        transport: TransportName | None = None,
        proxy: str | None = None,
        headers: Mapping[str, str] | None = None,
        root_certificates: bytes | None = None,
    ) -> None:
        options = read_options(
            base_url,
            token,
            timeout=timeout,
            reconnect_for=reconnect_for,
            max_retries=max_retries,
            transport=transport,
            proxy=proxy,
            headers=headers,
            root_certificates=root_certificates,
        )
        self._set_up(Transport(options))

    def _set_up(self, transport: Transport) -> None:
        self._transport = transport
        self.agents = Agents(self)
        self.runs = Runs(self)
        self.inputs = Inputs(self)
        self.threads = Threads(self)
        self.memories = Memories(self)
        self.projects = Projects(self)
        self.sandboxes = Sandboxes(self)
        self.files = Files(self)
        self.skills = Skills(self)
        self.schedules = Schedules(self)
        self.triggers = Triggers(self)
        self.shares = Shares(self)
        self.secrets = Secrets(self)
        self.webhooks = Webhooks(self)
        self.account = OwnAccount(self)
        self.api_keys = ApiKeys(self)
        self.admin = Admin(self)

    def with_timeout(self, seconds: float) -> Runyard:
        """Returns a client with another timeout that shares this client's connection.

        Args:
            seconds: Maximum time of a call, including retries.
        """
        other = Runyard.__new__(Runyard)
        other._set_up(self._transport.with_timeout(seconds))
        return other

    @property
    def transport(self) -> str:
        """The transport in use: "grpc" or "http"; "auto" until a call has decided."""
        chosen = self._transport.lines.chosen
        return "auto" if chosen is None else chosen.name

    def __repr__(self) -> str:
        return f"Runyard({self._transport.options.url!r})"

    def close(self) -> None:
        """Closes the connections. The next call opens a new one."""
        self._transport.lines.close()

    def __enter__(self) -> Runyard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
