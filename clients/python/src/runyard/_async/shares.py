"""Shares: links with which everybody can read a thread."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from runyard import _methods as methods
from runyard._lists import pages
from runyard.models import NewShare, Page, Share, SharedMessage, SharedThread, to_message

if TYPE_CHECKING:
    from runyard._async.client import AsyncRunyard


class AsyncShares:
    """Manages the shares of the account, and reads shared threads."""

    def __init__(self, client: AsyncRunyard) -> None:
        self._transport = client._transport

    async def create(self, thread_id: str, *, expires_at: datetime.datetime | None = None) -> NewShare:
        """Creates a share of a thread. Only this response contains the token.

        Args:
            thread_id: The thread's UUID.
            expires_at: Expiry time; unset if the share does not expire.
        """
        request = to_message(methods.CREATE_SHARE.request, thread_id=thread_id, expires_at=expires_at)
        return await self._transport.load(methods.CREATE_SHARE, request, NewShare)

    async def list(self, *, thread_id: str = "", page_size: int = 0, page_token: str = "") -> Page[Share]:
        """Returns one page of shares, newest first.

        Args:
            thread_id: Lists only shares of this thread.
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(
            methods.LIST_SHARES.request, thread_id=thread_id, page_size=page_size, page_token=page_token
        )
        answer = await self._transport.call(methods.LIST_SHARES, request)
        return pages(answer.shares, Share, answer.next_page_token)

    async def list_all(self, *, thread_id: str = "") -> AsyncIterator[Share]:
        """Iterates over the links of a thread, or of all threads of the caller.

        Args:
            thread_id: The thread's UUID; default: all threads of the caller.
        """
        token = ""
        while True:
            page = await self.list(thread_id=thread_id, page_size=200, page_token=token)
            for share in page:
                yield share
            token = page.next_page_token
            if not token:
                return

    async def revoke(self, share_id: str) -> None:
        """Revokes a share. Its token stops working immediately.

        Args:
            share_id: The share's UUID.
        """
        request = to_message(methods.REVOKE_SHARE.request, share_id=share_id)
        await self._transport.call(methods.REVOKE_SHARE, request)

    async def get_thread(self, token: str) -> SharedThread:
        """Returns a shared thread. The client needs no credential for this.

        Args:
            token: The token of the share.
        """
        request = to_message(methods.GET_SHARED_THREAD.request, token=token)
        return await self._transport.load(methods.GET_SHARED_THREAD, request, SharedThread)

    async def messages(self, token: str, *, page_size: int = 0, page_token: str = "") -> Page[SharedMessage]:
        """Returns one page of a shared thread's messages, oldest first. The client needs no credential for this.

        Args:
            token: The token of the share.
            page_size: Page size: default 50, maximum 200. A page contains fewer messages if some are large or private.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(
            methods.LIST_SHARED_MESSAGES.request, token=token, page_size=page_size, page_token=page_token
        )
        answer = await self._transport.call(methods.LIST_SHARED_MESSAGES, request)
        return pages(answer.messages, SharedMessage, answer.next_page_token)
