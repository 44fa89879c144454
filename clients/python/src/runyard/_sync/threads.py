# Generated from runyard/_async by make_sync.py: edit the source there.
"""Threads and their messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from runyard import _methods as methods
from runyard._lists import pages
from runyard._unset import UNSET, Unset, changes
from runyard.models import Message, MessageRole, Page, Thread, to_message

if TYPE_CHECKING:
    from runyard._sync.client import Runyard


class Threads:
    """Manages threads and their messages."""

    def __init__(self, client: Runyard) -> None:
        self._transport = client._transport

    def create(self, *, project_id: str = "", name: str | None = None) -> Thread:
        """Creates an empty thread. If `project_id` is empty, creates a project for the thread, too.

        Args:
            project_id: The project's UUID; default: a new project.
            name: Name of the thread.
        """
        request = to_message(methods.CREATE_THREAD.request, project_id=project_id, name=name)
        return self._transport.load(methods.CREATE_THREAD, request, Thread)

    def get(self, thread_id: str) -> Thread:
        """Returns the thread with this id.

        Args:
            thread_id: The thread's UUID.
        """
        request = to_message(methods.GET_THREAD.request, thread_id=thread_id)
        return self._transport.load(methods.GET_THREAD, request, Thread)

    def list(
        self, *, project_id: str = "", search: str = "", page_size: int = 0, page_token: str = ""
    ) -> Page[Thread]:
        """Returns one page of the caller's threads, most recently active first.

        Args:
            project_id: Lists only threads of this project.
            search: Lists only threads whose name, or one of whose messages, contains all words of this text. A page
                may then have fewer threads than `page_size`, even none, although it has a `next_page_token`.
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(
            methods.LIST_THREADS.request,
            project_id=project_id,
            search=search,
            page_size=page_size,
            page_token=page_token,
        )
        answer = self._transport.call(methods.LIST_THREADS, request)
        return pages(answer.threads, Thread, answer.next_page_token)

    def list_all(self, *, project_id: str = "", search: str = "") -> Iterator[Thread]:
        """Iterates over the caller's threads, most recently active first.

        Args:
            project_id: Lists only threads of this project.
            search: Lists only threads whose name, or one of whose messages, contains all words of this text.
        """
        token = ""
        while True:
            page = self.list(project_id=project_id, search=search, page_size=200, page_token=token)
            for thread in page:
                yield thread
            token = page.next_page_token
            if not token:
                return

    def update(self, thread_id: str, *, name: str | Unset | None = UNSET) -> Thread:
        """Renames a thread. None clears the name.

        Args:
            thread_id: The thread's UUID.
            name: New name.
        """
        request = changes(to_message(methods.UPDATE_THREAD.request, thread_id=thread_id), name=name)
        return self._transport.load(methods.UPDATE_THREAD, request, Thread)

    def suggest_title(self, thread_id: str) -> Thread:
        """Asks a model for a name that says what the thread is about. A name that a caller chose stays.

        If a model is called, the call is charged.

        Args:
            thread_id: The thread's UUID.
        """
        request = to_message(methods.SUGGEST_THREAD_TITLE.request, thread_id=thread_id)
        return self._transport.load(methods.SUGGEST_THREAD_TITLE, request, Thread)

    def delete(self, thread_id: str) -> None:
        """Deletes a thread with its messages and runs.

        Args:
            thread_id: The thread's UUID.
        """
        request = to_message(methods.DELETE_THREAD.request, thread_id=thread_id)
        self._transport.call(methods.DELETE_THREAD, request)

    def messages(self, thread_id: str, *, page_size: int = 0, page_token: str = "") -> Page[Message]:
        """Returns one page of a thread's messages, oldest first.

        Args:
            thread_id: The thread's UUID.
            page_size: Page size: default 50, maximum 200. A page with large messages may contain fewer messages.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(
            methods.LIST_MESSAGES.request, thread_id=thread_id, page_size=page_size, page_token=page_token
        )
        answer = self._transport.call(methods.LIST_MESSAGES, request)
        return pages(answer.messages, Message, answer.next_page_token)

    def messages_all(self, thread_id: str) -> Iterator[Message]:
        """Iterates over all messages of a thread, oldest first.

        Args:
            thread_id: The thread's UUID.
        """
        token = ""
        while True:
            page = self.messages(thread_id, page_size=200, page_token=token)
            for message in page:
                yield message
            token = page.next_page_token
            if not token:
                return

    def add_message(self, thread_id: str, *, content: str, role: MessageRole | None = None) -> Message:
        """Adds a message without starting a run. An unfinished run of the thread receives it at its next model call.

        Args:
            thread_id: The thread's UUID.
            content: Text of the message.
            role: Author: user (default) or assistant.
        """
        request = to_message(methods.ADD_MESSAGE.request, thread_id=thread_id, content=content, role=role)
        return self._transport.load(methods.ADD_MESSAGE, request, Message)
