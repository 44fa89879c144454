"""How notebooks show the main objects: as tables. All text is escaped."""

from __future__ import annotations

import datetime
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

# Longer texts are cut, and longer lists are counted.
SHOWN_TEXT = 200
SHOWN_ROWS = 50


class Shown:
    """Gives a dataclass a table in notebooks."""

    def _repr_html_(self) -> str:
        return table(type(self).__name__, facts(self))


def facts(value: Any) -> dict[str, Any]:
    """Returns the fields of a dataclass that are set. Omits secrets, which its `repr` omits, too."""
    found = {each.name: getattr(value, each.name) for each in fields(value) if each.repr}
    return {name: each for name, each in found.items() if each not in (None, "", [], {})}


def table(title: str, rows: Mapping[str, Any]) -> str:
    """Returns a table with one row per field."""
    lines = "".join(f"<tr><th>{html.escape(name)}</th><td>{_cell(value)}</td></tr>" for name, value in rows.items())
    return f"<table><caption>{html.escape(title)}</caption>{lines}</table>"


def list_table(items: Sequence[Any]) -> str:
    """Returns a table with one row per object. Its columns are the fields with a short value."""
    rows = [_short(item) for item in items[:SHOWN_ROWS]]
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(row.get(name))}</td>' for name in names)}</tr>" for row in rows)
    more = f"<p>{len(items) - SHOWN_ROWS} more</p>" if len(items) > SHOWN_ROWS else ""
    return f"<table><tr>{head}</tr>{body}</table>{more}" if rows else "<i>no items</i>"


def _short(item: Any) -> dict[str, Any]:
    item = getattr(item, "record", None) or item
    if not is_dataclass(item):
        return {type(item).__name__: item}
    return {name: value for name, value in facts(item).items() if not is_dataclass(value) and not _is_many(value)}


def _is_many(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S %Z")
    if is_dataclass(value) and not isinstance(value, type):
        return _pairs(facts(value).items())
    if isinstance(value, Mapping):
        return _pairs(value.items())
    if isinstance(value, list | tuple):
        shown = "<br>".join(_cell(each) for each in value[:SHOWN_ROWS])
        return shown if len(value) <= SHOWN_ROWS else f"{shown}<br>{len(value) - SHOWN_ROWS} more"
    text = str(value)
    return html.escape(text if len(text) <= SHOWN_TEXT else text[: SHOWN_TEXT - 1] + "…")


def _pairs(pairs: Iterable[tuple[Any, Any]]) -> str:
    return ", ".join(f"{html.escape(str(name))}: {_cell(value)}" for name, value in pairs)
