"""Secrets: named, write-only values that agents use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from runyard import _methods as methods
from runyard._lists import pages
from runyard._unset import UNSET, Unset, changes
from runyard.models import Page, Secret, to_message

if TYPE_CHECKING:
    from runyard._async.client import AsyncRunyard


class AsyncSecrets:
    """Manages the secrets of the account."""

    def __init__(self, client: AsyncRunyard) -> None:
        self._transport = client._transport

    async def create(self, name: str, value: str, *, hosts: Sequence[str] = ()) -> Secret:
        """Creates a secret that may be sent to these hosts, or to all.

        Args:
            name: Name: 1 to 64 letters, digits, "_" and "-". It cannot be changed.
            value: Value: 8 to 8192 bytes, without control characters.
            hosts: Hosts to which the secret may be sent, such as mcp.example.com: up to 32. Default: all hosts.
        """
        request = to_message(methods.CREATE_SECRET.request, name=name, value=value, hosts=hosts)
        return await self._transport.load(methods.CREATE_SECRET, request, Secret)

    async def list(self, *, page_size: int = 0, page_token: str = "") -> Page[Secret]:
        """Returns one page of secrets without their values, newest first.

        Args:
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(methods.LIST_SECRETS.request, page_size=page_size, page_token=page_token)
        answer = await self._transport.call(methods.LIST_SECRETS, request)
        return pages(answer.secrets, Secret, answer.next_page_token)

    async def list_all(self) -> AsyncIterator[Secret]:
        """Iterates over all of the caller's secrets, without their values."""
        token = ""
        while True:
            page = await self.list(page_size=200, page_token=token)
            for secret in page:
                yield secret
            token = page.next_page_token
            if not token:
                return

    async def update(
        self,
        secret_id: str,
        *,
        value: str | Unset = UNSET,
        hosts: Sequence[str] | Unset = UNSET,
    ) -> Secret:
        """Changes the value or the hosts. New connections use the new value.

        Args:
            secret_id: The secret's UUID.
            value: New value.
            hosts: New hosts.
        """
        request = to_message(methods.UPDATE_SECRET.request, secret_id=secret_id)
        request = changes(request, value=value, hosts=hosts)
        return await self._transport.load(methods.UPDATE_SECRET, request, Secret)

    async def delete(self, secret_id: str) -> None:
        """Deletes a secret. New connections that need it fail.

        Args:
            secret_id: The secret's UUID.
        """
        request = to_message(methods.DELETE_SECRET.request, secret_id=secret_id)
        await self._transport.call(methods.DELETE_SECRET, request)
