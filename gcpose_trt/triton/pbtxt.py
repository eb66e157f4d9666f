"""Protocol buffers' text format, as far as a model's configuration needs it; so that exporting needs no protobuf."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Message = list[tuple[str, Any]]
COMMENT = "#"


class Name(str):
    """A word without quotes: a member of an enumeration."""

    __slots__ = ()


def render(message: Message, indent: int = 0) -> str:
    """Return a message as text.

    Args:
        message: (field, value) pairs in order. Values: str, `Name`, int, float, bool; a list of these (a repeated
            field on one line); a message; a list of messages (a repeated field, one block each). The field "#" is a
            comment, its value the lines.
        indent: spaces before each line.
    """
    lines: list[str] = []
    space = " " * indent
    for field, value in message:
        if field == COMMENT:
            lines += [f"{space}# {line}".rstrip() for line in value.splitlines()]
        elif _is_message(value):
            lines += [f"{space}{field} {{", *_inner(value, indent), f"{space}}}"]
        elif isinstance(value, list) and value and all(_is_message(item) for item in value):
            for item in value:
                lines += [f"{space}{field} {{", *_inner(item, indent), f"{space}}}"]
        elif isinstance(value, list):
            lines.append(f"{space}{field}: [ {', '.join(map(_scalar, value))} ]".replace("[  ]", "[ ]"))
        else:
            lines.append(f"{space}{field}: {_scalar(value)}")
    return "\n".join(lines) + ("\n" if indent == 0 else "")


def parameters(values: Mapping[str, str]) -> Message:
    """Return the `parameters` of a configuration, a map from text to text."""
    return [("parameters", [("key", key), ("value", [("string_value", value)])]) for key, value in values.items()]


def _is_message(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, tuple) for item in value)


def _inner(message: Message, indent: int) -> list[str]:
    return [render(message, indent + 2)]


def _scalar(value: Any) -> str:
    if isinstance(value, Name):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    # JSON escapes are a part of those that the text format knows; beyond ASCII it takes UTF-8 as it is.
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
