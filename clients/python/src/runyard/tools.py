"""Client tools: functions of the program that the model can call.

`client.agents.run(..., tools=[function])` takes plain functions. Their names, type hints and docstrings describe the
tools to the model. `ClientTool` describes a tool without type hints.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runyard import _schema

MAX_RESULT_BYTES = 256 * 1024

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class ClientTool:
    """A tool that the caller of a run provides.

    `parameters` is the JSON schema of the arguments. `run` gets the arguments as keyword arguments. Its result is the
    returned text, or the returned value as JSON; an exception becomes a failed result. If `run` is None, the program
    answers the calls with `client.inputs.answer`.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    run: Callable[..., Any] | None = None
    hints: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The types of the arguments, to which the client converts the JSON values."""

    @classmethod
    def of(cls, function: Callable[..., Any]) -> ClientTool:
        """Describes a function by its name, type hints and docstring."""
        name = getattr(function, "__name__", "")
        if not _NAME.fullmatch(name):
            raise TypeError(f"{function!r} has no name that a tool may have; use ClientTool(name=…, run=…)")
        description, parameters, hints = _schema.describe(function, name)
        return cls(name=name, description=description, parameters=parameters, run=function, hints=hints)


Tool = ClientTool | Callable[..., Any]


def declared(tools: Iterable[Tool], *, may_await: bool) -> dict[str, ClientTool]:
    """Returns the tools by name. Raises TypeError for a function that cannot be a tool."""
    found: dict[str, ClientTool] = {}
    for tool in tools:
        each = tool if isinstance(tool, ClientTool) else ClientTool.of(tool)
        if each.name in found:
            raise ValueError(f"two tools have the name {each.name!r}")
        if inspect.iscoroutinefunction(each.run) and not may_await:
            raise TypeError(f"the tool {each.name!r} is an async function; only AsyncRunyard can run it")
        found[each.name] = each
    return found


def in_request(tools: Mapping[str, ClientTool]) -> list[dict[str, Any]]:
    """Returns the tools as fields of a start request."""
    return [
        {"name": tool.name, "description": tool.description, "parameters": tool.parameters} for tool in tools.values()
    ]


def begin(tool: ClientTool, arguments: Mapping[str, Any]) -> Any:
    """Converts the arguments to the tool's types and calls its function."""
    assert tool.run is not None
    if not tool.hints:
        return tool.run(**arguments)
    return tool.run(**_schema.convert_all(arguments, tool.hints))


def text_of(value: Any) -> str:
    """Returns a function's result as text. Raises if it is not JSON or too large."""
    if value is None:
        text = ""
    elif isinstance(value, str):
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False, default=_plain)
    encoded = _sendable(text).encode()
    if len(encoded) > MAX_RESULT_BYTES:
        raise ValueError(f"the result has {len(encoded)} bytes; the maximum is {MAX_RESULT_BYTES}")
    return encoded.decode()


def error_text(error: Exception) -> str:
    """Returns an exception as text for the model."""
    message = _sendable(str(error)[: MAX_RESULT_BYTES // 8])
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _sendable(text: str) -> str:
    """Replaces lone surrogates, which are not UTF-8, and NUL characters, which the server refuses."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    raise TypeError(f"the tool returned a {type(value).__name__}, which is not JSON")
