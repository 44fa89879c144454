"""The client class. Its attributes give access to the services of the API."""

from __future__ import annotations

from collections.abc import Mapping

from runyard._async.account import AsyncAdmin, AsyncApiKeys, AsyncOwnAccount
from runyard._async.agents import AsyncAgents
from runyard._async.files import AsyncFiles
from runyard._async.inputs import AsyncInputs
from runyard._async.memories import AsyncMemories
from runyard._async.projects import AsyncProjects, AsyncSandboxes
from runyard._async.runs import AsyncRuns
from runyard._async.schedules import AsyncSchedules
from runyard._async.secrets import AsyncSecrets
from runyard._async.shares import AsyncShares
from runyard._async.skills import AsyncSkills
from runyard._async.threads import AsyncThreads
from runyard._async.transport import AsyncTransport
from runyard._async.triggers import AsyncTriggers
from runyard._async.webhooks import AsyncWebhooks
from runyard._options import Token, TransportName, read_options


class AsyncRunyard:
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
        self._set_up(AsyncTransport(options))

    def _set_up(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self.agents = AsyncAgents(self)
        self.runs = AsyncRuns(self)
        self.inputs = AsyncInputs(self)
        self.threads = AsyncThreads(self)
        self.memories = AsyncMemories(self)
        self.projects = AsyncProjects(self)
        self.sandboxes = AsyncSandboxes(self)
        self.files = AsyncFiles(self)
        self.skills = AsyncSkills(self)
        self.schedules = AsyncSchedules(self)
        self.triggers = AsyncTriggers(self)
        self.shares = AsyncShares(self)
        self.secrets = AsyncSecrets(self)
        self.webhooks = AsyncWebhooks(self)
        self.account = AsyncOwnAccount(self)
        self.api_keys = AsyncApiKeys(self)
        self.admin = AsyncAdmin(self)

    def with_timeout(self, seconds: float) -> AsyncRunyard:
        """Returns a client with another timeout that shares this client's connection.

        Args:
            seconds: Maximum time of a call, including retries.
        """
        other = AsyncRunyard.__new__(AsyncRunyard)
        other._set_up(self._transport.with_timeout(seconds))
        return other

    @property
    def transport(self) -> str:
        """The transport in use: "grpc" or "http"; "auto" until a call has decided."""
        chosen = self._transport.lines.chosen
        return "auto" if chosen is None else chosen.name

    def __repr__(self) -> str:
        return f"Runyard({self._transport.options.url!r})"

    async def close(self) -> None:
        """Closes the connections. The next call opens a new one."""
        await self._transport.lines.close()

    async def __aenter__(self) -> AsyncRunyard:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
