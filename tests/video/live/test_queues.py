"""Queues against a model of them, and with threads on both sides."""

from __future__ import annotations

import threading
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.video.live.queues import Lanes, StoppedError
from tests.video.live.fakes import WAIT, until

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 2)),
        st.tuples(st.just("take"), st.just(0)),
        st.tuples(st.just("drain"), st.integers(0, 2)),
        st.tuples(st.just("close"), st.integers(0, 2)),
        st.tuples(st.just("stop"), st.just(0)),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=150, derandomize=True)
@given(ACTIONS, st.integers(1, 3))
def test_against_a_model(actions: list[tuple[str, int]], depth: int) -> None:
    lanes: Lanes[int] = Lanes(3, depth)
    model: list[deque[int]] = [deque(maxlen=depth) for _ in range(3)]
    taking, stopped = [True] * 3, False
    for number, (action, lane) in enumerate(actions):
        if action == "put" and taking[lane] and not stopped:
            oldest = model[lane][0] if len(model[lane]) == depth else None
            assert lanes.put(number, lane, overwrite=True) == oldest
            model[lane].append(number)
        elif action == "put":
            with pytest.raises(StoppedError):
                lanes.put(number, lane, overwrite=True)
        elif action == "take" and (any(model) or stopped or not any(taking)):
            assert lanes.take() == [waiting.popleft() for waiting in model if waiting]
        elif action == "drain":
            assert lanes.drain(lane) == list(model[lane])
            model[lane].clear()
        elif action == "close":
            lanes.close(lane)
            taking[lane] = False
        elif action == "stop":
            lanes.stop()
            stopped = True
            for waiting in model:
                waiting.clear()
        assert lanes.ended == (stopped or not (any(taking) or any(model)))
        assert lanes.takes(lane) == (taking[lane] and not stopped)


@settings(deadline=None, max_examples=15, derandomize=True)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=4), st.integers(1, 4), st.booleans())
def test_threads(counts: list[int], depth: int, overwrite: bool) -> None:
    """Whatever the threads do: order kept a lane, nothing lost that was not returned as dropped, never too deep."""
    lanes: Lanes[tuple[int, int]] = Lanes(len(counts), depth)
    dropped: list[list[int]] = [[] for _ in counts]

    def produce(lane: int) -> None:
        for number in range(counts[lane]):
            gone = lanes.put((lane, number), lane, overwrite=overwrite)
            if gone is not None:
                dropped[lane].append(gone[1])
        lanes.close(lane)

    threads = [threading.Thread(target=produce, args=(lane,)) for lane in range(len(counts))]
    for thread in threads:
        thread.start()
    taken: list[list[int]] = [[] for _ in counts]
    while items := lanes.take():
        assert len({lane for lane, _ in items}) == len(items)
        for lane, number in items:
            taken[lane].append(number)
    for lane, count in enumerate(counts):
        assert taken[lane] == sorted(taken[lane])
        assert sorted(taken[lane] + dropped[lane]) == list(range(count))
        assert overwrite or not dropped[lane]
    for thread in threads:
        thread.join(WAIT)
        assert not thread.is_alive()


@pytest.mark.parametrize("end", ["close", "stop"])
def test_whoever_waits_is_woken_at_the_end(end: str) -> None:
    lanes: Lanes[int] = Lanes(1, 1)
    lanes.put(0)
    refused = threading.Event()

    def put() -> None:
        with pytest.raises(StoppedError):
            lanes.put(1)
        refused.set()

    putter = threading.Thread(target=put)
    putter.start()
    getattr(lanes, end)()
    assert refused.wait(WAIT)
    assert lanes.take() == ([0] if end == "close" else [])
    assert lanes.take() == []
    assert not lanes.wait()


def test_waiting_takes_nothing() -> None:
    lanes: Lanes[int] = Lanes(2, 1)
    found: list[bool] = []
    waiter = threading.Thread(target=lambda: found.append(lanes.wait()))
    waiter.start()
    lanes.put(7, 1)
    waiter.join(WAIT)
    assert found == [True]
    assert lanes.take() == [7]


def test_a_full_lane_asks_whether_to_overwrite() -> None:
    lanes: Lanes[int] = Lanes(1, 1)
    asked: list[int] = []
    for number in range(3):
        lanes.put(number, overwrite=lambda: not asked.append(1))
    assert len(asked) == 2
    assert lanes.take() == [2]


def test_draining_frees_whoever_waits() -> None:
    lanes: Lanes[int] = Lanes(1, 1)
    lanes.put(0)
    putter = threading.Thread(target=lanes.put, args=(1,))
    putter.start()
    assert lanes.drain(0) == [0]
    until(lambda: not putter.is_alive())
    assert lanes.take() == [1]


def test_sleep_ends_with_a_stop() -> None:
    lanes: Lanes[int] = Lanes(1, 1)
    sleeper = threading.Thread(target=lanes.sleep, args=(1e6,))
    sleeper.start()
    lanes.stop()
    sleeper.join(WAIT)
    assert not sleeper.is_alive()
