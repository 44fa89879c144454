# Generated from runyard/_async by make_sync.py: edit the source there.
"""Memories: facts that agents keep across threads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from runyard import _methods as methods
from runyard._lists import pages
from runyard._unset import UNSET, Unset, changes
from runyard.models import Memory, Page, to_message

if TYPE_CHECKING:
    from runyard._sync.client import Runyard


class Memories:
    """Manages the memories of agents and of the account."""

    def __init__(self, client: Runyard) -> None:
        self._transport = client._transport

    def create(self, text: str, *, agent_id: str = "") -> Memory:
        """Creates a memory of an agent. If `agent_id` is empty, the memory belongs to the account.

        Args:
            text: Text of the memory. The server's settings limit its size; the default limit is 2,048 bytes.
            agent_id: UUID of the agent that the memory belongs to. Default: the memory belongs to the account.
        """
        request = to_message(methods.CREATE_MEMORY.request, text=text, agent_id=agent_id)
        return self._transport.load(methods.CREATE_MEMORY, request, Memory)

    def get(self, memory_id: str) -> Memory:
        """Returns the memory with this id.

        Args:
            memory_id: The memory's UUID.
        """
        request = to_message(methods.GET_MEMORY.request, memory_id=memory_id)
        return self._transport.load(methods.GET_MEMORY, request, Memory)

    def list(
        self,
        *,
        agent_id: str = "",
        account_only: bool = False,
        search: str = "",
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[Memory]:
        """Returns one page of memories: latest change first or, with `search`, best match first.

        Args:
            agent_id: Lists only memories of this agent.
            account_only: If true, lists only memories that belong to the account and not to an agent.
            search: Lists only memories that contain one or more words of this text, best match first. A word of four or
                more characters also matches longer words that begin with it.
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(
            methods.LIST_MEMORIES.request,
            agent_id=agent_id,
            account_only=account_only,
            search=search,
            page_size=page_size,
            page_token=page_token,
        )
        answer = self._transport.call(methods.LIST_MEMORIES, request)
        return pages(answer.memories, Memory, answer.next_page_token)

    def list_all(
        self, *, agent_id: str = "", account_only: bool = False, search: str = ""
    ) -> Iterator[Memory]:
        """Iterates over all memories.

        Args:
            agent_id: Lists only memories of this agent.
            account_only: If true, lists only memories that belong to the account and not to an agent.
            search: Lists only memories that contain one or more words of this text, best match first. A word of four or
                more characters also matches longer words that begin with it.
        """
        token = ""
        while True:
            page = self.list(
                agent_id=agent_id, account_only=account_only, search=search, page_size=200, page_token=token
            )
            for memory in page:
                yield memory
            token = page.next_page_token
            if not token:
                return

    def update(self, memory_id: str, *, text: str | Unset = UNSET) -> Memory:
        """Replaces the text of a memory.

        Args:
            memory_id: The memory's UUID.
            text: New text.
        """
        request = changes(to_message(methods.UPDATE_MEMORY.request, memory_id=memory_id), text=text)
        return self._transport.load(methods.UPDATE_MEMORY, request, Memory)

    def delete(self, memory_id: str) -> None:
        """Deletes a memory.

        Args:
            memory_id: The memory's UUID.
        """
        request = to_message(methods.DELETE_MEMORY.request, memory_id=memory_id)
        self._transport.call(methods.DELETE_MEMORY, request)
