"""Webhooks: signed requests that tell other programs about runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from runyard import _methods as methods
from runyard._lists import pages
from runyard._unset import UNSET, Unset, changes
from runyard.models import Page, Webhook, WebhookDelivery, WebhookEventName, to_message

if TYPE_CHECKING:
    from runyard._async.client import AsyncRunyard


class AsyncWebhooks:
    """Manages the webhooks of the account."""

    def __init__(self, client: AsyncRunyard) -> None:
        self._transport = client._transport

    async def create(self, url: str, *, events: Sequence[WebhookEventName] = ()) -> Webhook:
        """Creates a webhook for these events, or for all. The answer contains the signing secret.

        Args:
            url: URL with the scheme https. The server's settings can permit http and private addresses.
            events: Names of the events to send. Default: all events.
        """
        request = to_message(methods.CREATE_WEBHOOK.request, url=url, events=events)
        return await self._transport.load(methods.CREATE_WEBHOOK, request, Webhook)

    async def get(self, webhook_id: str) -> Webhook:
        """Returns the webhook with this id.

        Args:
            webhook_id: The webhook's UUID.
        """
        request = to_message(methods.GET_WEBHOOK.request, webhook_id=webhook_id)
        return await self._transport.load(methods.GET_WEBHOOK, request, Webhook)

    async def list(self, *, page_size: int = 0, page_token: str = "") -> Page[Webhook]:
        """Returns one page of webhooks, newest first.

        Args:
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(methods.LIST_WEBHOOKS.request, page_size=page_size, page_token=page_token)
        answer = await self._transport.call(methods.LIST_WEBHOOKS, request)
        return pages(answer.webhooks, Webhook, answer.next_page_token)

    async def list_all(self) -> AsyncIterator[Webhook]:
        """Iterates over all of the caller's webhooks."""
        token = ""
        while True:
            page = await self.list(page_size=200, page_token=token)
            for webhook in page:
                yield webhook
            token = page.next_page_token
            if not token:
                return

    async def update(
        self,
        webhook_id: str,
        *,
        url: str | Unset = UNSET,
        events: Sequence[WebhookEventName] | Unset = UNSET,
        enabled: bool | Unset = UNSET,
    ) -> Webhook:
        """Changes the given fields.

        Args:
            webhook_id: The webhook's UUID.
            url: New URL.
            events: New names of the events to send.
            enabled: Whether events are sent.
        """
        request = to_message(methods.UPDATE_WEBHOOK.request, webhook_id=webhook_id)
        request = changes(request, url=url, events=events, enabled=enabled)
        return await self._transport.load(methods.UPDATE_WEBHOOK, request, Webhook)

    async def delete(self, webhook_id: str) -> None:
        """Deletes a webhook with its deliveries.

        Args:
            webhook_id: The webhook's UUID.
        """
        request = to_message(methods.DELETE_WEBHOOK.request, webhook_id=webhook_id)
        await self._transport.call(methods.DELETE_WEBHOOK, request)

    async def rotate_secret(self, webhook_id: str) -> Webhook:
        """Creates a new signing secret, which the answer contains. The earlier one stays valid for 24 hours.

        Args:
            webhook_id: The webhook's UUID.
        """
        request = to_message(methods.ROTATE_WEBHOOK_SECRET.request, webhook_id=webhook_id)
        return await self._transport.load(methods.ROTATE_WEBHOOK_SECRET, request, Webhook)

    async def test(self, webhook_id: str) -> WebhookDelivery:
        """Sends the event webhook.test.

        Args:
            webhook_id: The webhook's UUID.
        """
        request = to_message(methods.TEST_WEBHOOK.request, webhook_id=webhook_id)
        return await self._transport.load(methods.TEST_WEBHOOK, request, WebhookDelivery)

    async def deliveries(self, webhook_id: str, *, page_size: int = 0, page_token: str = "") -> Page[WebhookDelivery]:
        """Returns one page of deliveries, newest first.

        Args:
            webhook_id: The webhook's UUID.
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(
            methods.LIST_WEBHOOK_DELIVERIES.request, webhook_id=webhook_id, page_size=page_size, page_token=page_token
        )
        answer = await self._transport.call(methods.LIST_WEBHOOK_DELIVERIES, request)
        return pages(answer.deliveries, WebhookDelivery, answer.next_page_token)

    async def redeliver(self, webhook_id: str, delivery_id: str) -> WebhookDelivery:
        """Sends a finished delivery again.

        Args:
            webhook_id: The webhook's UUID.
            delivery_id: The delivery's UUID.
        """
        request = to_message(methods.REDELIVER_WEBHOOK_DELIVERY.request, webhook_id=webhook_id, delivery_id=delivery_id)
        return await self._transport.load(methods.REDELIVER_WEBHOOK_DELIVERY, request, WebhookDelivery)
