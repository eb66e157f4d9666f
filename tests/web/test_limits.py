"""Buckets, the log, and lines."""

from __future__ import annotations

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.web.limits import Bucket, Journal, Limits, one_line


class Clock:
    """A clock that tests move."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_fills_with_time() -> None:
    clock = Clock()
    bucket = Bucket(2.0, 3, clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    assert bucket.wait == pytest.approx(0.5)
    clock.now += 0.5
    assert bucket.take()
    assert not bucket.take()
    clock.now += 1000
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_the_log_is_bounded() -> None:
    clock, lines = Clock(), list[str]()
    journal = Journal(lines.append, a_minute=3, clock=clock)
    for number in range(10):
        journal(f"line {number}\nand more")
    assert lines == [f"page: line {number} and more" for number in range(3)]
    clock.now += 20
    journal("later")
    assert lines[3:] == ["page: later (and 7 lines left out)"]


def test_one_line() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert one_line(" a\r\n\tb  c ") == "a b c"
    assert one_line("bell\x07 \x1b[31mred \ud800") == "bell? ?[31mred ?"
    assert one_line("x" * 1000) == "x" * 300 + "..."
    assert one_line(MuteError()) == "MuteError"


def test_limits_are_positive() -> None:
    with pytest.raises(GcposeError, match="the limit streams is 0"):
        Limits(streams=0)
    with pytest.raises(GcposeError, match="drain_s"):
        Limits(drain_s=float("nan"))
