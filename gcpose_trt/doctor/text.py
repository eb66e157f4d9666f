"""The report for people: aligned, at most 100 columns, in colour on a terminal."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

from gcpose_trt import __version__
from gcpose_trt.doctor.check import Check, Status
from gcpose_trt.doctor.report import Ability, Report

WIDEST, NARROWEST = 100, 60
_SYMBOLS = {Status.GREEN: "✓", Status.YELLOW: "!", Status.RED: "✗", Status.ABSENT: "–"}
_PLAIN_SYMBOLS = {Status.GREEN: "+", Status.YELLOW: "!", Status.RED: "x", Status.ABSENT: "-"}
_COLOURS = {Status.GREEN: "32", Status.YELLOW: "33", Status.RED: "31", Status.ABSENT: "2"}
_BOLD, _DIM = "1", "2"
_SHORT_MARGIN = "    "
# Outside of ASCII, for streams that cannot say it.
_PLAIN_WORDS = str.maketrans({"→": ">", "·": "|", "°": " ", "–": "-", "—": "-", "…": "."})


@dataclass(frozen=True)
class Style:
    """How a stream is written to.

    Attributes:
        colour: whether it takes colours.
        unicode: whether it takes more than ASCII.
        width: columns.
    """

    colour: bool = False
    unicode: bool = True
    width: int = WIDEST

    @classmethod
    def of(cls, stream: TextIO) -> Style:
        """Return the style of a stream; NO_COLOR, and a terminal that is dumb, mean no colours."""
        terminal = stream.isatty()
        colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        width = shutil.get_terminal_size((WIDEST, 24)).columns if terminal else WIDEST
        try:
            "✓–→·°".encode(stream.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return cls(colour, False, min(WIDEST, max(NARROWEST, width)))
        return cls(colour, True, min(WIDEST, max(NARROWEST, width)))

    def paint(self, text: str, code: str) -> str:
        """Return the text in a colour."""
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def symbol(self, status: Status) -> str:
        """Return the sign of a status."""
        return self.paint((_SYMBOLS if self.unicode else _PLAIN_SYMBOLS)[status], _COLOURS[status])

    def plain(self, text: str) -> str:
        """Return the text in characters that the stream takes."""
        if self.unicode:
            return text
        return text.translate(_PLAIN_WORDS).encode("ascii", "replace").decode()


def render(report: Report, style: Style) -> str:
    """Return the report as lines, without a line break at the end."""
    return "\n".join(_lines(report, style))


def _lines(report: Report, style: Style) -> Iterator[str]:
    title = style.plain(f"gcpose-trt {__version__} doctor · {report.machine.words}")
    yield style.paint(title[: style.width], _BOLD)
    column = max(len(check.name) for section in report.sections for check in section.checks)
    for section in report.sections:
        if section.checks:
            yield ""
            yield style.paint(section.title, _BOLD)
            for check in section.checks:
                yield from _check_lines(check, column, style)
    yield ""
    yield style.paint("What you can do here", _BOLD)
    column = max(len(ability.name) for ability in report.abilities)
    for ability in report.abilities:
        yield from _ability_lines(ability, column, style)
    yield ""
    words, colour = _summary(report)
    for line in _wrap(words, style.width):
        yield style.paint(line, colour)


def _check_lines(check: Check, column: int, style: Style) -> Iterator[str]:
    margin = " " * (column + 6)
    lines = _wrap(style.plain(check.detail), style.width - len(margin))
    absent = check.status is Status.ABSENT
    name = style.paint(check.name, _DIM) if absent else check.name
    pad = " " * (column - len(check.name) + 2)
    for index, line in enumerate(lines):
        head = f"  {style.symbol(check.status)} {name}{pad}" if index == 0 else margin
        yield head + (style.paint(line, _DIM) if absent else line)
    if check.fix:
        # Not broken into lines: half of a command does harm when it is copied.
        fix = style.plain(check.fix)
        indent = margin if len(margin) + 2 + len(fix) <= style.width else _SHORT_MARGIN
        yield f"{indent}{style.paint(style.plain('→'), _COLOURS[check.status])} {style.paint(fix, _BOLD)}"


def _ability_lines(ability: Ability, column: int, style: Style) -> Iterator[str]:
    lines = _wrap(style.plain(ability.words), style.width - column - 6)
    for index, line in enumerate(lines):
        head = f"  {style.symbol(ability.status)} {ability.name:<{column}}  " if index == 0 else " " * (column + 6)
        yield head + (style.paint(line, _DIM) if ability.status is Status.ABSENT else line)


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def _summary(report: Report) -> tuple[str, str]:
    """Return the last sentence and its colour."""
    counts = report.counts
    if counts["red"]:
        number = counts["red"]
        text = f"{number} thing{'s are' if number > 1 else ' is'} broken"
        text += f", {counts['yellow']} could be better" if counts["yellow"] else ""
        return f"{text}; the commands after the arrows put it right.", _COLOURS[Status.RED]
    if counts["yellow"]:
        number = counts["yellow"]
        text = f"Nothing is broken; {number} thing{'s' if number > 1 else ''} could be better."
        return text, _COLOURS[Status.YELLOW]
    return "Nothing to put right.", _COLOURS[Status.GREEN]
