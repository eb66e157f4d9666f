"""Rolling windows, samples, counts and what a picture says of them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.runtime.timing import Timing
from gcpose_trt.video.live.statistics import Meters, Reservoir, Window, hud_lines, percentiles
from gcpose_trt.video.live_types import Settings, Snapshot
from tests.video.live.fakes import FakeCapture


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.lists(st.floats(0, 2), max_size=50), st.floats(0, 3))
def test_a_window_holds_the_last_seconds(gaps: list[float], later: float) -> None:
    window, now, when = Window(2.0), 0.0, []
    for gap in gaps:
        now += gap
        window.add(now, now)
        when.append(now)
    now += later
    assert window.values(now) == [time for time in when if time >= now - 2.0]


@pytest.mark.parametrize("fps", [1.0, 24.0, 120.0])
def test_rates(fps: float) -> None:
    window = Window(5.0)
    assert window.rate(0.0) == 0.0
    for frame in range(1000):
        window.add(frame / fps)
    last = 999 / fps
    assert window.rate(last) == pytest.approx(fps)
    assert window.rate(last + 0.9 / fps) == pytest.approx(fps)
    assert window.rate(last + 2.5) < 0.8 * fps
    assert window.rate(last + 6) == 0.0


def test_windows_and_samples_stay_small() -> None:
    window, sample = Window(), Reservoir[int](100)
    for number in range(20_000):
        window.add(number * 1e-6, number)
        sample.add(number)
    assert len(window.values(0.02)) == 1024
    assert window.rate(0.02) == pytest.approx(1e6, rel=0.01)
    assert sample.count == 20_000
    assert len(set(sample.values)) == 100
    assert 8_000 < np.mean(sample.values) < 12_000  # fair: neither the first nor the last


@settings(deadline=None, max_examples=20, derandomize=True)
@given(st.lists(st.integers(), max_size=100))
def test_a_sample_of_few_is_all(values: list[int]) -> None:
    sample: Reservoir[int] = Reservoir(100)
    for value in values:
        sample.add(value)
    assert sample.values == values


def test_percentiles() -> None:
    assert percentiles([], (50,)) == []
    assert percentiles([1.0, 2.0, 3.0], (50, 100)) == [2.0, 3.0]


def meters() -> Meters:
    found = Meters([FakeCapture([], name="a"), FakeCapture([], name="b", live=True)])
    for index in range(4):
        found.captured(1, (480, 640, 3))
        found.state(1, "running")
        found.estimated(1, index, Timing(1, 2, 3, 4), 5.0, 6.0, 10.0 + index)
    found.dropped(1, 3)
    found.failed(0)
    found.drawn(7.0)
    return found


def test_what_meters_say() -> None:
    stages, (first, second) = meters().latest(paused=True)
    assert stages == {
        "wait": 5.0,
        "preprocess": 1.0,
        "detector": 2.0,
        "pose": 3.0,
        "postprocess": 4.0,
        "track": 6.0,
        "draw": 7.0,
    }
    assert (first.name, first.state, first.captured, first.latency_p50_ms, first.width) == ("a", "starting", 0, None, 0)
    assert (second.name, second.state, second.captured, second.estimated) == ("b", "paused", 4, 4)
    assert (second.width, second.height, second.dropped, second.people, second.live) == (640, 480, 3, 3, True)
    assert second.latency_p50_ms == pytest.approx(11.5)
    assert second.latency_p99_ms == pytest.approx(12.97)
    assert second.source_fps > 0
    assert second.inference_fps > 0


def test_lines_of_a_picture() -> None:
    stages, sources = meters().latest(paused=False)
    snapshot = Snapshot(1.0, "mobile", "onnxruntime", "int8", "cpu", Settings(), 0, stages, sources, ())
    text = "\n".join(hud_lines(snapshot, 1))
    for part in ("source\t", "inference\t", "12 ms p50, 13 ms p99", "dropped\t3", "cpu", "mobile", "int8"):
        assert part in text
    assert "latency" not in "\n".join(hud_lines(snapshot, 0))


def test_meters_do_not_grow() -> None:
    def size(found: Meters) -> int:
        windows = [*found.stages.values(), found.sources[0].latencies, found.sources[0].completions]
        return sum(sys.getsizeof(window._entries) for window in windows) + len(found.timings.values)

    found = Meters([FakeCapture([])])
    sizes = []
    for _ in range(2):
        for _ in range(6000):
            found.estimated(0, 1, Timing(1, 2, 3, 4), 5.0, 6.0, 10.0)
        sizes.append(size(found))
    assert sizes[1] <= sizes[0]
