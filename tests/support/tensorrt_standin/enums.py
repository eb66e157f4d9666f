"""Enumerations as pybind11 makes them: not Python's Enum, but objects with a name, a value and `__members__`."""

from __future__ import annotations

from typing import Any


class Member:
    """A member of a stand-in's enumeration."""

    __members__: dict[str, Any]

    def __init__(self, name: str, value: int) -> None:
        self.name = name
        self.value = value

    def __int__(self) -> int:
        return self.value

    __index__ = __int__

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.value == self.value

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.value))

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __repr__(self) -> str:
        return f"<{self}: {self.value}>"


def make_enum(name: str, members: dict[str, int]) -> Any:
    """Return a type whose attributes are its members."""
    kind = type(name, (Member,), {})
    kind.__members__ = {member: kind(member, value) for member, value in members.items()}
    for member, value in kind.__members__.items():
        setattr(kind, member, value)
    return kind


def numbered(*names: str) -> dict[str, int]:
    """Return members numbered from 0 on."""
    return {name: index for index, name in enumerate(names)}
