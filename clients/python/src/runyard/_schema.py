"""JSON schemas from type hints, and JSON values converted to the hinted types."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union

# Python 3.10 lacks both.
_KEY_MARKS = tuple(getattr(typing, name) for name in ("NotRequired", "Required") if hasattr(typing, name))

_SCALARS: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_NAMES = {str: "a string", int: "an integer", float: "a number", bool: "true or false", type(None): "null"}
_SUPPORTED = "str, int, float, bool, list, dict, Optional, Union, Literal, Any, dataclasses and TypedDict"

_ARGUMENTS = re.compile(r"(args|arguments|parameters|params)\s*:$", re.IGNORECASE)
_SECTION = re.compile(r"(returns?|raises|yields?|examples?|notes?)\s*:$", re.IGNORECASE)
_GOOGLE = re.compile(r"(\*{0,2}\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_SPHINX = re.compile(r":param\s+(?:[^:]*\s)?(\w+)\s*:\s*(.*)$")


def describe(function: Callable[..., Any], name: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Returns the description of a function, the JSON schema of its arguments, and their type hints."""
    try:
        target = function if inspect.isroutine(function) else type(function).__call__
        hints = typing.get_type_hints(target, include_extras=True)
    except NameError as error:
        raise TypeError(f"a type hint of the tool {name!r} cannot be resolved: {error}") from None
    description, documented = _documentation(inspect.getdoc(function) or "")
    properties: dict[str, Any] = {}
    required: list[str] = []
    taken: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        where = f"the parameter {parameter.name!r} of the tool {name!r}"
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(
                f"{where} cannot be passed by name; a tool cannot have *args, **kwargs or parameters before /"
            )
        if parameter.name not in hints:
            raise TypeError(f"{where} has no type hint")
        schema = schema_of(hints[parameter.name], where)
        if parameter.name in documented:
            schema.setdefault("description", documented[parameter.name])
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        elif isinstance(parameter.default, str | int | float | bool):
            schema["default"] = parameter.default
        properties[parameter.name] = schema
        taken[parameter.name] = hints[parameter.name]
    return description, _object(properties, required), taken


def schema_of(hint: Any, where: str, inside: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Returns the JSON schema of a type hint. Raises TypeError if there is none."""
    if hint is Any:
        return {}
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if _is_scalar(hint):
        return {"type": _SCALARS[hint]}
    if origin is typing.Annotated:
        schema = schema_of(arguments[0], where, inside)
        texts = [each for each in arguments[1:] if isinstance(each, str)]
        return {**schema, "description": texts[0]} if texts else schema
    if origin in _KEY_MARKS:
        return schema_of(arguments[0], where, inside)
    if origin is Literal:
        return _literal(arguments, where)
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(each, where, inside) for each in arguments]}
    if hint is list or origin is list:
        return {"type": "array", **({"items": schema_of(arguments[0], where, inside)} if arguments else {})}
    if hint is dict or origin is dict:
        if arguments and arguments[0] is not str:
            raise TypeError(f"{where} has the type {_shown(hint)}; the keys of a dict must be str")
        return {
            "type": "object",
            **({"additionalProperties": schema_of(arguments[1], where, inside)} if arguments else {}),
        }
    if is_record(hint):
        if hint in inside:
            raise TypeError(f"{where} has the type {_shown(hint)}, which contains itself")
        schemas = {
            key: schema_of(each, f"the field {key!r} of {where}", (*inside, hint))
            for key, each in _fields(hint).items()
        }
        return _object(schemas, [key for key in schemas if key in _required(hint)])
    raise TypeError(f"{where} has the type {_shown(hint)}, which has no JSON schema; supported are {_SUPPORTED}")


def convert_all(arguments: Mapping[str, Any], hints: Mapping[str, Any]) -> dict[str, Any]:
    """Converts the arguments of a call to the types of the function's parameters. Raises ValueError if one differs."""
    unknown = [key for key in arguments if key not in hints]
    if unknown:
        raise ValueError(f"unknown argument: {', '.join(unknown)}")
    return {key: convert(value, hints[key], key) for key, value in arguments.items()}


def convert(value: Any, hint: Any, path: str) -> Any:
    """Converts a JSON value to a type. Raises ValueError if the value does not have this type."""
    if hint is Any:
        return value
    if _is_scalar(hint):
        return _scalar(value, hint, path)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Annotated, *_KEY_MARKS):
        return convert(value, arguments[0], path)
    if origin is Literal:
        for allowed in arguments:
            # JSON has one type of number, and in Python True equals 1.
            if value == allowed and isinstance(value, bool) == isinstance(allowed, bool):
                return allowed
        raise ValueError(f"{path} must be one of: {', '.join(map(repr, arguments))}")
    if origin in (Union, types.UnionType):
        return _one_of(value, arguments, path)
    if hint is list or origin is list:
        if not isinstance(value, list):
            raise ValueError(f"{path} must be a list")
        return [convert(each, arguments[0] if arguments else Any, f"{path}[{at}]") for at, each in enumerate(value)]
    if not isinstance(value, dict):
        raise ValueError(f"{path} must be an object")
    if not is_record(hint):
        inner = arguments[1] if arguments else Any
        return {key: convert(each, inner, f"{path}.{key}") for key, each in value.items()}
    fields = _fields(hint)
    for key in value:
        if key not in fields:
            raise ValueError(f"{path} has an unknown field: {key}")
    for key in fields:
        if key in _required(hint) and key not in value:
            raise ValueError(f"{path} lacks the field {key}")
    return hint(**{key: convert(each, fields[key], f"{path}.{key}") for key, each in value.items()})


def _scalar(value: Any, hint: Any, path: str) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and is_number:
        return float(value)
    # JSON does not distinguish 3 and 3.0.
    if hint is int and is_number and value == int(value):
        return int(value)
    if type(value) is not hint:
        raise ValueError(f"{path} must be {_NAMES[hint]}")
    return value


def _one_of(value: Any, hints: tuple[Any, ...], path: str) -> Any:
    # The exact type goes first: 1 is an int in `float | int`.
    reasons: list[ValueError] = []
    for hint in sorted(hints, key=lambda hint: type(value) is not hint):
        try:
            return convert(value, hint, path)
        except ValueError as error:  # noqa: PERF203 - a union has few types
            # For an Optional, the reason of the other type explains more than "must be null".
            if hint is not type(None):
                reasons.append(error)
    raise reasons[-1]


def _literal(values: tuple[Any, ...], where: str) -> dict[str, Any]:
    if not all(isinstance(each, str | int | bool) or each is None for each in values):
        raise TypeError(f"{where} has a Literal with a value that is not str, int, bool or None")
    kinds = sorted({_SCALARS[type(each)] for each in values})
    return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": list(values)}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def _is_scalar(hint: Any) -> bool:
    return isinstance(hint, type) and hint in _SCALARS


def is_record(hint: Any) -> bool:
    """Whether a type is a dataclass or a TypedDict."""
    return isinstance(hint, type) and (dataclasses.is_dataclass(hint) or hasattr(hint, "__required_keys__"))


def _fields(hint: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(hint, include_extras=True)
    if dataclasses.is_dataclass(hint):
        return {each.name: hints[each.name] for each in dataclasses.fields(hint) if each.init}
    return hints


def _required(hint: Any) -> frozenset[str]:
    if not dataclasses.is_dataclass(hint):
        return frozenset(hint.__required_keys__)
    missing = dataclasses.MISSING
    fields = dataclasses.fields(hint)
    return frozenset(each.name for each in fields if each.default is missing and each.default_factory is missing)


def _shown(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)


def _documentation(text: str) -> tuple[str, dict[str, str]]:
    """Splits a docstring into its description and the descriptions of parameters, in Google's or Sphinx' style."""
    description: list[str] = []
    parameters: dict[str, str] = {}
    section = ""
    current = ""
    indent = 0
    for line in text.splitlines():
        stripped = line.strip()
        depth = len(line) - len(line.lstrip())
        sphinx = _SPHINX.match(stripped)
        if sphinx:
            section, current, indent = "sphinx", sphinx[1], depth
            parameters[current] = sphinx[2]
        elif stripped.startswith(":") and re.match(r":\w+", stripped):
            section, current = "other", ""
        elif depth == 0 and (_ARGUMENTS.match(stripped) or _SECTION.match(stripped)):
            section, current, indent = ("google" if _ARGUMENTS.match(stripped) else "other"), "", 0
        elif section == "google" and stripped:
            found = _GOOGLE.match(stripped) if not current or depth <= indent else None
            if found:
                current, indent = found[1].lstrip("*"), depth
                parameters[current] = found[2]
            elif current:
                parameters[current] = f"{parameters[current]} {stripped}".strip()
        elif section == "sphinx" and stripped and current:
            parameters[current] = f"{parameters[current]} {stripped}".strip()
        elif not section:
            description.append(line)
    return "\n".join(description).strip(), {key: value for key, value in parameters.items() if value}
