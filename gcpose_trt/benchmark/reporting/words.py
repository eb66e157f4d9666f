"""Numbers and text of a report as people read them. What was not measured is a dash."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

DASH = "–"
_LONGEST = 500  # characters of one value: a report from elsewhere may hold anything


def clean(value: Any, most: int = _LONGEST) -> str:
    """Return text on one line that XML can hold: no control characters, no halves of surrogate pairs."""
    text = "".join(character if _printable(character) else " " for character in str(value)[: 4 * most])
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def _printable(character: str) -> bool:
    code = ord(character)
    return not (code < 32 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or code & 0xFFFE == 0xFFFE)


def number(value: Any) -> float | None:
    """Return a finite number, or None for everything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def look(record: Any, *keys: str) -> Any:
    """Return what lies under the keys, one inside the other; None where a step is missing."""
    for key in keys:
        if not isinstance(record, Mapping):
            return None
        record = record.get(key)
    return record


def figure(value: Any) -> str:
    """Return a number with three or four digits that count: 0.123, 4.57, 45.7, 457, 4,570."""
    known = number(value)
    if known is None:
        return DASH
    size = abs(known)
    decimals = 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3
    if 0 < size < 0.01:
        return f"{known:.2g}"
    return f"{known:,.{decimals}f}"


def whole(value: Any) -> str:
    """Return a count: 1,234."""
    known = number(value)
    return DASH if known is None else f"{known:,.0f}"


def share(value: Any, decimals: int = 1) -> str:
    """Return a share 0..1 in per cent."""
    known = number(value)
    return DASH if known is None else f"{100 * known:.{decimals}f} %"


def fixed(value: Any, decimals: int) -> str:
    """Return a number with this many decimals."""
    known = number(value)
    return DASH if known is None else f"{known:,.{decimals}f}"


def interval(value: Any) -> str:
    """Return [low, high] as "4.57 to 4.61"."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        return DASH
    low, high = map(number, value)
    return DASH if low is None or high is None else f"{figure(low)} to {figure(high)}"


def mebibytes(value: Any) -> str:
    """Return bytes in MiB."""
    known = number(value)
    return DASH if known is None else figure(known / 2**20)


def text(value: Any) -> str:
    """Return a word, or a dash for None and ""."""
    return DASH if value is None or value == "" else clean(value)


def plain(value: Any) -> str:
    """Return anything that JSON holds, in words: lists with commas, mappings as "name value"."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return (
            clean(
                ", ".join(f"{clean(name)} {plain(item)}" for name, item in value.items() if item is not None).replace(
                    "_", " "
                )
            )
            or DASH
        )
    if isinstance(value, (list, tuple)):
        return clean(", ".join(plain(item) for item in value)) or DASH
    if isinstance(value, float):
        return figure(value)
    return text(value)


def listed(names: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1] if names else ""


def plural(count: int, one: str, more: str = "") -> str:
    """Return "1 frame", "2 frames"."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"
