"""A marker that distinguishes an omitted argument from None."""

from __future__ import annotations

import enum
from typing import Any, Final

from runyard.models import M, fill


class Unset(enum.Enum):
    """The type of UNSET, an enum so that type checkers can distinguish UNSET from other values."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET


def changes(request: M, **given: Any) -> M:
    """Sets the given fields and lists them in the update mask. The server clears a field whose value is None."""
    fields = {name: value for name, value in given.items() if value is not UNSET}
    fill(request, fields)
    mask: Any = request
    mask.update_mask.paths.extend(fields)
    return request
