# Generated from runyard/_async by make_sync.py: edit the source there.
"""Triggers: addresses that start a run when they receive an HTTP request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from runyard import _methods as methods
from runyard._lists import pages
from runyard._unset import UNSET, Unset, changes
from runyard.models import Page, Trigger, to_message

if TYPE_CHECKING:
    from runyard._sync.client import Runyard


class Triggers:
    """Manages the triggers of the account."""

    def __init__(self, client: Runyard) -> None:
        self._transport = client._transport

    def create(
        self,
        name: str,
        prompt: str,
        *,
        agent_id: str = "",
        thread_id: str = "",
        model_name: str = "",
        mode: str = "",
        enabled: bool = True,
    ) -> Trigger:
        """Creates a trigger. `prompt` is a template, such as `Look at {{body.url}}`. The answer contains the secret.

        Args:
            name: Name for people: up to 200 characters.
            prompt: Template of the prompt.
            agent_id: UUID of the agent. Default: the account's default agent.
            thread_id: UUID of the thread that the runs continue. Default: each run creates a thread.
            model_name: Model of the runs. Default: the agent's model.
            mode: Mode of the runs. Default: the default mode.
            enabled: Whether requests start runs. Default: true.
        """
        request = to_message(
            methods.CREATE_TRIGGER.request,
            name=name,
            prompt=prompt,
            agent_id=agent_id,
            thread_id=thread_id,
            model_name=model_name,
            mode=mode,
            enabled=enabled,
        )
        return self._transport.load(methods.CREATE_TRIGGER, request, Trigger)

    def get(self, trigger_id: str) -> Trigger:
        """Returns the trigger with this id.

        Args:
            trigger_id: The trigger's UUID.
        """
        request = to_message(methods.GET_TRIGGER.request, trigger_id=trigger_id)
        return self._transport.load(methods.GET_TRIGGER, request, Trigger)

    def list(self, *, page_size: int = 0, page_token: str = "") -> Page[Trigger]:
        """Returns one page of triggers, newest first.

        Args:
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(methods.LIST_TRIGGERS.request, page_size=page_size, page_token=page_token)
        answer = self._transport.call(methods.LIST_TRIGGERS, request)
        return pages(answer.triggers, Trigger, answer.next_page_token)

    def list_all(self) -> Iterator[Trigger]:
        """Iterates over all of the caller's triggers."""
        token = ""
        while True:
            page = self.list(page_size=200, page_token=token)
            for trigger in page:
                yield trigger
            token = page.next_page_token
            if not token:
                return

    def update(
        self,
        trigger_id: str,
        *,
        name: str | Unset = UNSET,
        prompt: str | Unset = UNSET,
        agent_id: str | Unset = UNSET,
        thread_id: str | Unset = UNSET,
        model_name: str | Unset = UNSET,
        mode: str | Unset = UNSET,
        enabled: bool | Unset = UNSET,
    ) -> Trigger:
        """Changes the given fields.

        Args:
            trigger_id: The trigger's UUID.
            name: New name.
            prompt: New template of the prompt.
            agent_id: New agent; empty for the account's default agent.
            thread_id: New thread; empty for a thread per run.
            model_name: New model; empty for the agent's model.
            mode: New mode; empty for the default mode.
            enabled: Whether requests start runs.
        """
        request = to_message(methods.UPDATE_TRIGGER.request, trigger_id=trigger_id)
        request = changes(
            request,
            name=name,
            prompt=prompt,
            agent_id=agent_id,
            thread_id=thread_id,
            model_name=model_name,
            mode=mode,
            enabled=enabled,
        )
        return self._transport.load(methods.UPDATE_TRIGGER, request, Trigger)

    def delete(self, trigger_id: str) -> None:
        """Deletes a trigger. Its runs stay.

        Args:
            trigger_id: The trigger's UUID.
        """
        request = to_message(methods.DELETE_TRIGGER.request, trigger_id=trigger_id)
        self._transport.call(methods.DELETE_TRIGGER, request)

    def rotate_secret(self, trigger_id: str) -> Trigger:
        """Creates a new secret, which the answer contains. The earlier one stays valid for 24 hours.

        Args:
            trigger_id: The trigger's UUID.
        """
        request = to_message(methods.ROTATE_TRIGGER_SECRET.request, trigger_id=trigger_id)
        return self._transport.load(methods.ROTATE_TRIGGER_SECRET, request, Trigger)
