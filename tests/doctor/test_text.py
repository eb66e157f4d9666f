"""The report for people: width, colours, symbols, commands in one piece."""

from __future__ import annotations

import io
import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.doctor import Check, Report, Status, examine
from gcpose_trt.doctor.machine import CPU, Driver, Machine
from gcpose_trt.doctor.report import Ability, Section
from gcpose_trt.doctor.text import Style, render
from tests.doctor import recorded
from tests.doctor.test_machines import FAULTS

MACHINE = Machine(CPU, False, "Linux", Driver(found=False))


class Terminal(io.StringIO):
    """A stream that says what it is."""

    def __init__(self, terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._terminal, self._encoding = terminal, encoding

    def isatty(self) -> bool:
        return self._terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")


@pytest.mark.parametrize("name", FAULTS)
def test_every_recorded_machine_fits_100_columns(name: str) -> None:
    for line in render(examine(FAULTS[name][0]()), Style()).splitlines():
        assert len(line) <= 100, line
        assert line == line.rstrip()


def test_details_begin_in_one_column() -> None:
    text = render(examine(recorded.desktop()), Style())
    lines = text[: text.index("What you can do here")].splitlines()
    starts = {len(match[0]) for line in lines if (match := re.match(r"  [✓!✗–] .{14}  (?=\S)", line))}
    assert len([line for line in lines if re.match(r"  [✓!✗–] ", line)]) > 20
    assert starts == {20}


def test_colours_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Style.of(Terminal(True)).colour
    assert not Style.of(Terminal(False)).colour
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Style.of(Terminal(True)).colour
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not Style.of(Terminal(True)).colour


def test_colours_change_nothing_but_colours() -> None:
    report = examine(FAULTS["nvidia-smi that hangs"][0]())
    coloured = render(report, Style(colour=True))
    assert "\033[31m" in coloured
    assert re.sub(r"\033\[[\d;]*m", "", coloured) == render(report, Style())


def test_width_follows_a_terminal_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, width in (("20", 60), ("80", 80), ("300", 100)):
        monkeypatch.setenv("COLUMNS", columns)
        assert Style.of(Terminal(True)).width == width
    assert Style.of(Terminal(False)).width == 100
    assert os.environ["COLUMNS"] == "300"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "unknown-8"])
def test_streams_without_unicode_get_ascii(encoding: str) -> None:
    style = Style.of(Terminal(False, encoding))
    assert not style.unicode
    text = render(examine(recorded.desktop()), style)
    assert text.isascii()
    assert "  + GPU " in text


def test_summary_counts() -> None:
    text = render(examine(FAULTS["toolkit newer than the driver"][0]()), Style())
    assert text.splitlines()[-1].startswith("3 things are broken, 2 could be better")
    assert render(examine(recorded.cpu_laptop()), Style()).splitlines()[-1] == "Nothing to put right."


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.just(" "), min_size=1, max_size=300)
CHECKS = st.builds(
    Check,
    st.text("abcdefg", min_size=1, max_size=15),
    st.sampled_from(Status),
    WORDS,
    st.from_regex("[a-z -]{5,120}!", fullmatch=True),
)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.lists(CHECKS, min_size=1, max_size=5), st.integers(60, 100))
def test_any_report_fits_and_keeps_commands_whole(found: list[Check], width: int) -> None:
    abilities = (Ability("demo", Status.GREEN, (), "ready"),)
    report = Report(MACHINE, (Section("x", "X", tuple(found)),), abilities, "now")
    lines = render(report, Style(width=width)).splitlines()
    fixes = {check.fix for check in found}
    for line in lines:
        fix = line.partition("→ ")[2]
        assert len(line) <= width or (fix in fixes and len(fix) > width - 22)
    assert all(any(fix and line.endswith(fix) for line in lines) for fix in fixes)
