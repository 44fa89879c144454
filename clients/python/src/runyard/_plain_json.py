"""Messages from the JSON of the HTTP API: proto field names, lower-case enum values, and null for unset fields."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from runyard.models import M, enum_number


def from_plain(wanted: type[M], values: Mapping[str, Any]) -> M:
    """Returns the message for a JSON object. Skips fields and enum values that this client does not support."""
    message = wanted()
    _read(message, values)
    return message


def _read(message: Message, values: Mapping[str, Any]) -> None:
    fields = message.DESCRIPTOR.fields_by_name
    for name, value in values.items():
        descriptor: Any = fields.get(name)
        if descriptor is None or value is None:
            continue
        target = getattr(message, name)
        inner = descriptor.message_type
        if inner is not None and inner.GetOptions().map_entry:
            entry = inner.fields_by_name["value"]
            for key, each in value.items():
                if entry.message_type is None:
                    target[key] = _scalar(entry, each)
                else:
                    _read_into(target[key], each)
        elif inner is not None and descriptor.is_repeated:
            for each in value:
                _read_into(target.add(), each)
        elif inner is not None:
            target.SetInParent()
            _read_into(target, value)
        elif descriptor.is_repeated:
            read = (_scalar(descriptor, each) for each in value)
            target.extend(each for each in read if each is not None)
        elif (scalar := _scalar(descriptor, value)) is not None:
            setattr(message, name, scalar)


def _read_into(target: Message, value: Any) -> None:
    if target.DESCRIPTOR.full_name.startswith("google.protobuf."):
        json_format.ParseDict(value, target)
    else:
        _read(target, value)


def _scalar(descriptor: Any, value: Any) -> Any:
    if descriptor.enum_type is not None:
        try:
            return enum_number(descriptor.enum_type, value)
        except ValueError:
            return None
    if descriptor.type == descriptor.TYPE_BYTES:
        return base64.b64decode(value)
    # Servers and proxies may write 64-bit integers as text.
    is_integer = descriptor.cpp_type in (
        descriptor.CPPTYPE_INT32,
        descriptor.CPPTYPE_INT64,
        descriptor.CPPTYPE_UINT32,
        descriptor.CPPTYPE_UINT64,
    )
    return int(value) if is_integer else value
