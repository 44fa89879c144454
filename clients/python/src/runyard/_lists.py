"""Conversion of list responses to pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from google.protobuf.message import Message

from runyard.models import Page, to_model

T = TypeVar("T")


def pages(items: Iterable[Message], wanted: type[T], next_page_token: str) -> Page[T]:
    return Page([to_model(item, wanted) for item in items], next_page_token)
