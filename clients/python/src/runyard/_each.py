"""Calls a function for each item: together in the asyncio client, one by one in the synchronous client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def together(function: Callable[[T], Awaitable[None]], items: Iterable[T]) -> None:
    """Calls the function for all items at the same time. Raises the first error when all calls have ended."""
    results = await asyncio.gather(*(function(item) for item in items), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def one_by_one(function: Callable[[T], None], items: Iterable[T]) -> None:
    """Calls the function for each item. Raises the first error at once."""
    for item in items:
        function(item)
