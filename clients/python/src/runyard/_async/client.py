"""The client."""

from __future__ import annotations

from runyard._async.account import AsyncAdmin, AsyncApiKeys, AsyncOwnAccount
from runyard._async.agents import AsyncAgents
from runyard._async.files import AsyncFiles
from runyard._async.projects import AsyncProjects, AsyncSandboxes
from runyard._async.runs import AsyncRuns
from runyard._async.threads import AsyncThreads
from runyard._async.transport import AsyncTransport
from runyard._options import Token, read_options


class AsyncRunyard:
    """A server and a caller. Without arguments, RUNYARD_SERVER and RUNYARD_TOKEN of the environment say which.

    `token` is a token or an API key, or a function that gives the current one. `timeout` bounds every call that is not
    a stream, its repeats included; `reconnect_for` is how long a stream looks for a server that is away.
    """

    def __init__(
        self,
        base_url: str | None = None,
        token: Token | None = None,
        *,
        timeout: float = 60.0,
        reconnect_for: float = 120.0,
        root_certificates: bytes | None = None,
    ) -> None:
        options = read_options(base_url, token, timeout, reconnect_for, root_certificates)
        self._set_up(AsyncTransport(options))

    def _set_up(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self.agents = AsyncAgents(self)
        self.runs = AsyncRuns(self)
        self.threads = AsyncThreads(self)
        self.projects = AsyncProjects(self)
        self.sandboxes = AsyncSandboxes(self)
        self.files = AsyncFiles(self)
        self.account = AsyncOwnAccount(self)
        self.api_keys = AsyncApiKeys(self)
        self.admin = AsyncAdmin(self)

    def with_timeout(self, seconds: float) -> AsyncRunyard:
        """The same client, over the same connection, with another timeout."""
        other = AsyncRunyard.__new__(AsyncRunyard)
        other._set_up(self._transport.with_timeout(seconds))
        return other

    def __repr__(self) -> str:
        return f"Runyard({self._transport.options.url!r})"

    async def close(self) -> None:
        """Closes the connection; using the client again opens a new one."""
        await self._transport.line.close()

    async def __aenter__(self) -> AsyncRunyard:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
