"""Threads that read ahead and write behind: order, errors, and an end in every case."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from types import TracebackType

import numpy as np
import pytest

from gcpose_trt.pose import PoseFrame
from gcpose_trt.video.background import DEPTH, ReadAhead, WriteBehind
from gcpose_trt.video.frames import Frame, Result

NOBODY = PoseFrame.empty()


def frame(index: int) -> Frame:
    return Frame(index, None, np.zeros((1, 1, 3), np.uint8), "x")


def no_threads_left() -> bool:
    return not any(thread.name.startswith("gcpose-") for thread in threading.enumerate())


class Recorder:
    """A sink that remembers; fails at frame `bad`."""

    needs_picture = False

    def __init__(self, bad: int | None = None) -> None:
        self.seen: list[int] = []
        self.left_by: list[type[BaseException] | None] = []
        self.bad = bad

    def write(self, result: Result) -> None:
        if result.frame.index == self.bad:
            raise ZeroDivisionError("bad frame")
        self.seen.append(result.frame.index)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.left_by.append(kind)


def test_reading_ahead_keeps_order_and_bounds() -> None:
    produced = 0

    def items() -> Iterator[int]:
        nonlocal produced
        for item in range(50):
            produced = item + 1
            yield item

    with ReadAhead(items()) as ahead:
        for index, item in enumerate(ahead):
            assert item == index
            # In the queue, one that waits to be put there, and the one in hand.
            assert produced <= index + DEPTH + 2
    assert index == 49
    assert no_threads_left()


def test_an_error_of_the_reader_comes_after_what_was_read() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise ZeroDivisionError

    seen = []
    with pytest.raises(ZeroDivisionError), ReadAhead(items()) as ahead:
        for item in ahead:
            seen.append(item)
    assert seen == [0, 1, 2]
    assert no_threads_left()


def test_leaving_early_stops_the_reader() -> None:
    with ReadAhead(itertools.count()) as ahead:
        for item in ahead:
            if item == 2:
                break
    assert no_threads_left()
    with pytest.raises(KeyboardInterrupt), ReadAhead(itertools.count()):
        raise KeyboardInterrupt
    assert no_threads_left()


def test_everything_is_written_before_the_end() -> None:
    sink = Recorder()
    with WriteBehind(sink) as behind:
        for index in range(20):
            behind.write(frame(index), NOBODY)
    assert sink.seen == list(range(20))
    assert sink.left_by == [None]
    assert no_threads_left()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_sink_learns_why_it_is_left(error: type[BaseException]) -> None:
    sink = Recorder()
    with pytest.raises(error), WriteBehind(sink) as behind:
        behind.write(frame(0), NOBODY)
        raise error
    assert sink.left_by == [error]
    assert no_threads_left()


@pytest.mark.parametrize("bad", [0, 19])
def test_an_error_of_the_sink_reaches_the_writer(bad: int) -> None:
    sink = Recorder(bad)
    with pytest.raises(ZeroDivisionError), WriteBehind(sink) as behind:
        for index in range(20):
            behind.write(frame(index), NOBODY)
    assert sink.seen == list(range(bad))
    assert sink.left_by == [ZeroDivisionError]
    assert no_threads_left()


def test_an_error_of_the_sink_during_ctrl_c_is_not_lost() -> None:
    sink = Recorder(0)
    with pytest.raises(ZeroDivisionError), WriteBehind(sink) as behind:
        behind.write(frame(0), NOBODY)
        raise KeyboardInterrupt
    assert sink.left_by == [ZeroDivisionError]
