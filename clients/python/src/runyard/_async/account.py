"""The caller's account and API keys, and account administration."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runyard import _methods as methods
from runyard._lists import pages
from runyard.models import (
    Account,
    AccountState,
    ApiKey,
    ApiKeyScope,
    NewApiKey,
    Page,
    UsageEntry,
    to_message,
)

if TYPE_CHECKING:
    from runyard._async.client import AsyncRunyard


class AsyncOwnAccount:
    """Reads the caller's account and its usage."""

    def __init__(self, client: AsyncRunyard) -> None:
        self._transport = client._transport

    async def state(self) -> AccountState:
        """Returns the account's credits, tier, limits and models."""
        request = to_message(methods.GET_ACCOUNT_STATE.request)
        return await self._transport.load(methods.GET_ACCOUNT_STATE, request, AccountState)

    async def usage(
        self,
        *,
        thread_id: str = "",
        agent_run_id: str = "",
        created_after: datetime.datetime | None = None,
        created_before: datetime.datetime | None = None,
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[UsageEntry]:
        """Returns one page of model calls with their cost, newest first.

        Args:
            thread_id: Lists only model calls of this thread.
            agent_run_id: Lists only model calls of this run.
            created_after: Lists only model calls at or after this time.
            created_before: Lists only model calls before this time.
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(
            methods.LIST_USAGE.request,
            thread_id=thread_id,
            agent_run_id=agent_run_id,
            created_after=created_after,
            created_before=created_before,
            page_size=page_size,
            page_token=page_token,
        )
        answer = await self._transport.call(methods.LIST_USAGE, request)
        return pages(answer.entries, UsageEntry, answer.next_page_token)


class AsyncApiKeys:
    """Manages the caller's API keys."""

    def __init__(self, client: AsyncRunyard) -> None:
        self._transport = client._transport

    async def create(
        self, *, name: str, scopes: Sequence[ApiKeyScope] = (), expires_at: datetime.datetime | None = None
    ) -> NewApiKey:
        """Creates a key. Only this response contains the secret.

        Args:
            name: Name, 1 to 100 characters.
            scopes: Scopes of the key; default: run. The widest scope in the list applies.
            expires_at: Expiry time; unset if the key does not expire.
        """
        request = to_message(methods.CREATE_API_KEY.request, name=name, scopes=scopes, expires_at=expires_at)
        return await self._transport.load(methods.CREATE_API_KEY, request, NewApiKey)

    async def list(self, *, page_size: int = 0, page_token: str = "") -> Page[ApiKey]:
        """Returns one page of the caller's keys, without their secrets.

        Args:
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(methods.LIST_API_KEYS.request, page_size=page_size, page_token=page_token)
        answer = await self._transport.call(methods.LIST_API_KEYS, request)
        return pages(answer.api_keys, ApiKey, answer.next_page_token)

    async def revoke(self, key_id: str) -> ApiKey:
        """Revokes a key immediately.

        Args:
            key_id: The key's UUID.
        """
        request = to_message(methods.REVOKE_API_KEY.request, key_id=key_id)
        return await self._transport.load(methods.REVOKE_API_KEY, request, ApiKey)


class AsyncAdmin:
    """Account administration, for callers with the role super_admin."""

    def __init__(self, client: AsyncRunyard) -> None:
        self._transport = client._transport

    async def create_account(self, subject: str, *, issuer: str = "") -> Account:
        """Returns the account of a subject. Creates the account if it does not exist.

        Args:
            subject: Subject (`sub`) of the account's tokens: 1 to 255 bytes without control characters.
            issuer: Issuer (`iss`) of the account's tokens; default: the issuer in the server's configuration.
        """
        request = to_message(methods.CREATE_ACCOUNT.request, subject=subject, issuer=issuer)
        return await self._transport.load(methods.CREATE_ACCOUNT, request, Account)

    async def get_account(self, account_id: str) -> Account:
        """Returns the account with this id.

        Args:
            account_id: The account's UUID.
        """
        request = to_message(methods.GET_ACCOUNT.request, account_id=account_id)
        return await self._transport.load(methods.GET_ACCOUNT, request, Account)

    async def list_accounts(
        self,
        *,
        subject: str = "",
        subject_prefix: str = "",
        tier_name: str = "",
        suspended: bool = False,
        active_after: datetime.datetime | None = None,
        active_before: datetime.datetime | None = None,
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[Account]:
        """Returns one page of accounts. Use one filter at a time.

        Args:
            subject: Lists only accounts with this subject.
            subject_prefix: Lists only accounts whose subject begins with this text.
            tier_name: Lists only accounts in this tier.
            suspended: Lists only suspended accounts.
            active_after: Lists only accounts whose last activity is at or after this time.
            active_before: Lists only accounts whose last activity is before this time.
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(
            methods.LIST_ACCOUNTS.request,
            subject=subject,
            subject_prefix=subject_prefix,
            tier_name=tier_name,
            suspended=suspended,
            active_after=active_after,
            active_before=active_before,
            page_size=page_size,
            page_token=page_token,
        )
        answer = await self._transport.call(methods.LIST_ACCOUNTS, request)
        return pages(answer.accounts, Account, answer.next_page_token)

    async def suspend_account(self, account_id: str, *, reason: str = "") -> Account:
        """Suspends an account and stops its runs. Nothing is deleted.

        Args:
            account_id: The account's UUID.
            reason: Reason for the suspension, up to 500 characters. It is written to the audit log.
        """
        request = to_message(methods.SUSPEND_ACCOUNT.request, account_id=account_id, reason=reason)
        return await self._transport.load(methods.SUSPEND_ACCOUNT, request, Account)

    async def resume_account(self, account_id: str) -> Account:
        """Ends the suspension of an account.

        Args:
            account_id: The account's UUID.
        """
        request = to_message(methods.RESUME_ACCOUNT.request, account_id=account_id)
        return await self._transport.load(methods.RESUME_ACCOUNT, request, Account)

    async def account_usage(
        self,
        account_id: str,
        *,
        created_after: datetime.datetime | None = None,
        created_before: datetime.datetime | None = None,
        page_size: int = 0,
        page_token: str = "",
    ) -> Page[UsageEntry]:
        """Returns one page of the model calls of an account with their cost, newest first.

        Args:
            account_id: The account's UUID.
            created_after: Lists only model calls at or after this time.
            created_before: Lists only model calls before this time.
            page_size: Page size: default 50, maximum 200.
            page_token: The next_page_token of the previous page.
        """
        request = to_message(
            methods.LIST_ACCOUNT_USAGE.request,
            account_id=account_id,
            created_after=created_after,
            created_before=created_before,
            page_size=page_size,
            page_token=page_token,
        )
        answer = await self._transport.call(methods.LIST_ACCOUNT_USAGE, request)
        return pages(answer.entries, UsageEntry, answer.next_page_token)

    async def set_tier(self, account_id: str, tier_name: str) -> Account:
        """Changes the tier of an account.

        Args:
            account_id: The account's UUID.
            tier_name: Name of the new tier.
        """
        request = to_message(methods.SET_ACCOUNT_TIER.request, account_id=account_id, tier_name=tier_name)
        return await self._transport.load(methods.SET_ACCOUNT_TIER, request, Account)

    async def grant_credits(
        self, account_id: str, amount: int, *, reason: str = "", request_id: str | None = None
    ) -> Account:
        """Grants credits to an account. Calls with the same `request_id` grant the credits only once. By default,
        the client generates a new id for each call.

        Args:
            account_id: The account's UUID.
            amount: Number of credits.
            reason: Reason for the grant, up to 500 characters. It is written to the audit log.
            request_id: Idempotency key. By default, the client generates a new id for each call.
        """
        request = to_message(
            methods.GRANT_CREDITS.request,
            account_id=account_id,
            credits=amount,
            reason=reason,
            request_id=request_id or str(uuid.uuid4()),
        )
        return await self._transport.load(methods.GRANT_CREDITS, request, Account)
