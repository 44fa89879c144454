"""The output of a run: its JSON schema from a type, and the JSON value as an instance of the type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runyard import _schema

Output = type[Any] | Mapping[str, Any]
"""A Pydantic model, a dataclass, a TypedDict or a JSON schema."""


def schema_of(output: Output | None) -> Mapping[str, Any] | None:
    """Returns the JSON schema of an output. Raises TypeError if its type has none."""
    if output is None or isinstance(output, Mapping):
        return output
    if hasattr(output, "model_json_schema") and hasattr(output, "model_validate"):
        return dict(output.model_json_schema())
    schema = _schema.schema_of(output, "the output")
    if not _schema.is_record(output):
        raise TypeError("the output must be a Pydantic model, a dataclass, a TypedDict or a JSON schema")
    return schema


def convert(value: dict[str, Any], output: Output | None) -> Any:
    """Returns the output of a run as an instance of its type, or unchanged if it has only a schema."""
    if output is None or isinstance(output, Mapping):
        return value
    if hasattr(output, "model_validate"):
        return output.model_validate(value)
    return _schema.convert(value, output, "output")
