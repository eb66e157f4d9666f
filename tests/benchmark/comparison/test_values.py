from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gcpose_trt.benchmark.comparison.defaults import METRICS
from gcpose_trt.benchmark.comparison.values import Value, values_of
from gcpose_trt.benchmark.significance import t_quantile

RECORD = {"id": "x", "label": "x", "bytes": 1000}


def summary(median: float, error: float, blocks: int = 5) -> dict[str, Any]:
    reach = t_quantile(blocks - 1) * error
    return {"median": median, "ci95": [max(0.0, median - reach), median + reach], "blocks": blocks, "spread": 0.02}


def collected(same_frames: bool = True, **sections: Any) -> dict[tuple[str, str], Value]:
    report = {name: {"x": section} for name, section in sections.items()}
    return values_of(report, RECORD, METRICS, same_frames=same_frames)


def test_the_error_of_a_median_is_read_from_its_interval() -> None:
    value = collected(start={"load": summary(200.0, 8.0)})["start", "load"]

    assert value.error == pytest.approx(0.04)
    assert (value.blocks, value.spread) == (5, 0.02)


def test_an_interval_cut_off_at_zero_gives_the_same_error() -> None:
    assert collected(start={"load": summary(200.0, 300.0)})["start", "load"].error == pytest.approx(1.5)


def test_one_round_gives_no_error() -> None:
    one = {"median": 5.0, "ci95": None, "blocks": 1, "spread": None}

    assert collected(start={"load": one})["start", "load"].error is None


def test_the_error_of_the_slope_is_that_of_the_line_through_the_medians() -> None:
    counts, errors = np.array([1, 2, 5]), np.array([0.3, 0.1, 0.6])
    totals = [summary(10.0 + 2 * count, error) for count, error in zip(counts, errors, strict=True)]
    rng = np.random.default_rng(0)
    medians = 10 + 2 * counts + errors * rng.standard_normal((4000, 3))
    slopes = np.polyfit(counts, medians.T, 1)[0]

    # Nobody in the frame is no part of the line, and what was not measured neither.
    section = {"counts": [0, 1, 2, 5, 9], "total": [summary(3.0, 50.0), *totals, None], "slope": 2.0}
    value = collected(people=section)["people", "each person"]

    assert value.error == pytest.approx(slopes.std() / 2.0, rel=0.06)
    assert value.least == pytest.approx(0.01 * 20.0 / 5)


@pytest.mark.parametrize("section", [{}, {"failed": "out of memory"}, {"counts": [0], "total": [None], "slope": None}])
def test_a_section_without_numbers_gives_none(section: dict[str, Any]) -> None:
    names = {"latency", "people", "throughput", "start", "accuracy"}

    assert list(collected(**dict.fromkeys(names, section))) == [("size", "model size")]


def test_other_frames_leave_what_has_no_samples_without_an_error() -> None:
    latency = {"end_to_end": summary(40.0, 1.0), "stages": {"pose": summary(9.0, 0.1)}}

    same, other = (collected(same, latency=latency) for same in (True, False))

    assert same["stages", "stage pose"].error == pytest.approx(0.1 / 9)
    assert other["stages", "stage pose"].error is None
    assert other["latency", "end to end"].error is None


def test_only_what_is_asked_for_is_collected() -> None:
    latency = {"end_to_end": summary(40.0, 1.0), "stages": {"pose": summary(9.0, 0.1)}}

    found = values_of({"latency": {"x": latency}}, RECORD, ("stages",), same_frames=True)

    assert list(found) == [("stages", "stage pose")]
