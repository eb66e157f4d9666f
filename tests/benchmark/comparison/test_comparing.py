from __future__ import annotations

import copy
import functools
import math
from typing import Any

import numpy as np
import pytest

from gcpose_trt.benchmark.comparison.comparing import Comparison, compare_reports
from gcpose_trt.benchmark.comparison.defaults import METRICS
from gcpose_trt.benchmark.comparison.verdicts import Change
from gcpose_trt.benchmark.schema import SECTIONS
from gcpose_trt.benchmark.statistics import median_error
from gcpose_trt.errors import GcposeError
from tests.benchmark.samples import MOBILE, MOBILE_INT8, MOVENET, R50, contender_of, sample_report


@functools.cache
def _made(seed: int, slower: float, unsteady: bool) -> dict[str, Any]:
    return sample_report(seed=seed, slower=slower, unsteady=unsteady)


def report(seed: int = 0, slower: float = 1.0, unsteady: bool = False) -> dict[str, Any]:
    return copy.deepcopy(_made(seed, slower, unsteady))


def change(comparison: Comparison, name: str, label: str = MOBILE.label) -> Change:
    return next(one for one in comparison.changes if (one.contender, one.name) == (label, name))


def test_a_report_is_the_same_as_itself() -> None:
    comparison = compare_reports(report(), report())

    assert not comparison.regressed
    assert comparison.count("same") == len(comparison.changes) > 60
    assert all(one.ratio in (1.0, None) and one.difference == 0 for one in comparison.changes)
    assert all(one.chance in (1.0, None) for one in comparison.changes)
    assert comparison.warnings == comparison.differences == comparison.lost == ()


def test_every_metric_is_compared() -> None:
    comparison = compare_reports(report(), report(seed=1))

    assert {one.metric for one in comparison.changes} == set(METRICS)
    names = {one.name for one in comparison.changes if one.contender == MOBILE.label}
    assert {"end to end", "network", "stage detector", "each person", "batch 4", "streams 2", "load"} < names
    assert {"first frame", "host memory peak", "energy package-0", "model size", "keypoints AP", "boxes AP"} < names
    assert "GPU memory peak" not in names  # not measured


def test_a_repetition_on_the_same_machine_is_no_regression() -> None:
    comparison = compare_reports(report(), report(seed=1))

    assert not comparison.regressed
    assert comparison.count("improvement") == 0


def test_what_became_slower_is_found_and_nothing_else() -> None:
    comparison = compare_reports(report(), report(seed=1, slower=1.2))

    assert comparison.regressed
    regressed = [one for one in comparison.changes if one.verdict == "regression"]
    assert {one.contender for one in regressed} == {MOBILE_INT8.label}
    assert {"end to end", "network", "stage detector", "batch 1", "each person"} <= {one.name for one in regressed}
    whole = change(comparison, "end to end", MOBILE_INT8.label)
    assert whole.interval is not None
    assert whole.interval[0] < 1.2 < whole.interval[1]
    assert whole.ratio == whole.b / whole.a


def test_what_became_faster_is_an_improvement_and_no_regression() -> None:
    comparison = compare_reports(report(seed=1, slower=1.2), report())

    assert not comparison.regressed
    assert change(comparison, "end to end", MOBILE_INT8.label).verdict == "improvement"
    assert change(comparison, "batch 4", MOBILE_INT8.label).verdict == "improvement"


def test_the_threshold_is_the_users() -> None:
    comparison = compare_reports(report(), report(seed=1, slower=1.2), threshold=0.4)

    assert not comparison.regressed


def test_a_small_stage_does_not_decide() -> None:
    stage = change(compare_reports(report(), report(seed=1, slower=1.2)), "stage postprocess", MOBILE_INT8.label)

    assert stage.ratio is not None
    assert stage.ratio > 1.1
    assert (stage.verdict, stage.why) == ("same", "under 1% of the frame")


def test_unsteady_times_decide_nothing() -> None:
    later = report(seed=1, unsteady=True)
    section = later["latency"][MOVENET.id]
    for key in ("end_to_end", "network"):
        section["samples"][key] = [3 * value for value in section["samples"][key]]
        for name in ("median", "p90", "p99", "mean", "min", "max"):
            section[key][name] *= 3
        section[key]["ci95"] = [3 * value for value in section[key]["ci95"]]

    whole = change(compare_reports(report(), later), "end to end", MOVENET.label)

    assert whole.ratio is not None
    assert whole.ratio > 2
    assert whole.verdict == "unsure"
    assert whole.why.startswith("spread ")


@pytest.mark.parametrize("side", [0, 1])
def test_a_partial_report_decides_nothing_but_what_is_exact(side: int) -> None:
    sides = [report(), report(seed=1, slower=1.2)]
    sides[side]["complete"] = False
    contender_of(sides[1], MOBILE)["bytes"] *= 2

    comparison = compare_reports(*sides)

    assert [one.name for one in comparison.changes if one.verdict == "regression"] == ["model size"]
    assert change(comparison, "end to end", MOBILE_INT8.label).why == "a report is partial"
    assert any("is partial" in text for text in comparison.warnings)


def test_average_precision_may_fall_by_its_own_threshold() -> None:
    later = report()
    later["accuracy"][MOBILE.id]["keypoints"]["AP"] -= 0.0021
    later["accuracy"][MOBILE.id]["boxes"]["AP"] -= 0.002
    later["accuracy"][MOVENET.id]["keypoints"]["AP"] += 0.0021

    comparison = compare_reports(report(), later)

    assert change(comparison, "keypoints AP").verdict == "regression"
    assert change(comparison, "boxes AP").verdict == "same"
    assert change(comparison, "keypoints AP", MOVENET.label).verdict == "improvement"
    assert not compare_reports(report(), later, ap_threshold=0.01).regressed


def test_accuracy_under_other_terms_is_left_out_and_said_so() -> None:
    later = report()
    later["accuracy"][MOBILE.id] |= {"min_score": 0.3, "keypoints": {"AP": 0.1}}

    comparison = compare_reports(report(), later)

    assert not any(one.metric == "accuracy" and one.contender == MOBILE.label for one in comparison.changes)
    assert any("least score differs (0.05 and 0.3)" in text for text in comparison.differences)
    assert change(comparison, "keypoints AP", MOVENET.label).verdict == "same"


def test_energy_without_rounds_is_never_certain_and_with_them_may_be() -> None:
    first, second = report(), report()
    for one, joules in ((first, 1.0), (second, 1.5)):
        one["latency"][MOBILE.id]["energy"]["package-0"]["joules_per_frame"] = joules
        summary = copy.deepcopy(one["latency"][MOVENET.id]["end_to_end"])
        scaled = {key: joules * summary[key] for key in ("median", "p90", "p99", "mean", "min", "max")}
        interval = [joules * value for value in summary["ci95"]]
        one["latency"][MOVENET.id]["energy"]["package-0"]["joules"] = summary | scaled | {"ci95": interval}

    comparison = compare_reports(first, second)

    assert change(comparison, "energy package-0").why == "nothing tells how certain it is"
    assert change(comparison, "energy package-0", MOVENET.label).verdict == "regression"


def test_a_contender_that_fails_now_is_a_regression() -> None:
    later = report()
    contender_of(later, MOBILE).update(status="failed", reason="out of memory")
    for section in ("latency", "people", "throughput", "start", "accuracy"):
        del later[section][MOBILE.id]

    comparison = compare_reports(report(), later)

    assert comparison.regressed
    assert comparison.lost == ((MOBILE.label, "all", "out of memory"),)


def test_a_section_that_fails_now_is_a_regression() -> None:
    later = report()
    later["people"][MOBILE.id] = {"failed": "the process was killed (signal 9)"}

    assert compare_reports(report(), later).lost == ((MOBILE.label, "people", "the process was killed (signal 9)"),)


def test_a_contender_skipped_now_is_told_and_no_regression() -> None:
    later = report()
    contender_of(later, MOVENET).update(status="skipped", reason="no weights")
    for section in ("latency", "throughput", "start", "accuracy"):
        del later[section][MOVENET.id]

    comparison = compare_reports(report(), later)

    assert not comparison.regressed
    assert "movenet was skipped in B: no weights" in comparison.differences


def test_what_failed_in_both_is_no_news() -> None:
    assert not any(R50.label in text for text in compare_reports(report(), report()).differences)


def test_other_machines_are_refused_unless_asked_for() -> None:
    later = report(seed=1, slower=1.2)
    later["environment"] |= {"machine_id": "other", "cpu": "Other CPU"}

    with pytest.raises(GcposeError, match=r"different machines .*Example CPU.*Other CPU.*; .*--across-machines"):
        compare_reports(report(), later)
    comparison = compare_reports(report(), later, across_machines=True)

    assert comparison.warnings[0].startswith("TIMES ARE OF DIFFERENT MACHINES")
    assert not compare_reports(report(), later, metrics=("size", "accuracy")).regressed


def test_a_machine_that_is_not_told_is_not_taken_to_be_the_same() -> None:
    sides = [report(), report()]
    for side in sides:
        side["environment"]["machine_id"] = None

    with pytest.raises(GcposeError, match="different machines"):
        compare_reports(*sides)


def test_other_clips_are_refused() -> None:
    later = report()
    later["clip"] |= {"name": "street.mp4", "sha256": "0"}

    with pytest.raises(GcposeError, match=r"clips differ \(sample.mp4 and street.mp4\); .*--metrics size,accuracy"):
        compare_reports(report(), later)
    with pytest.raises(GcposeError, match="clips differ"):  # of another machine too: not even then
        compare_reports(report(), later, across_machines=True)
    assert compare_reports(report(), later, metrics=("accuracy",)).count("same") == 6


def test_other_threads_are_refused() -> None:
    later = report()
    contender_of(later, MOBILE)["threads"] = 4

    with pytest.raises(GcposeError, match="mobile fp32 had 2 threads in A and 4 threads in B"):
        compare_reports(report(), later)


def test_threads_that_only_the_spec_tells_count_too() -> None:
    earlier, later = report(), report()
    for side, count in ((earlier, 2), (later, 1)):
        del contender_of(side, MOBILE)["threads"]
        contender_of(side, MOBILE)["spec"]["threads"] = count

    with pytest.raises(GcposeError, match="mobile fp32 had 2 threads in A and 1 thread in B"):
        compare_reports(earlier, later)


def test_a_run_that_measured_nothing_is_told_to_be_finished() -> None:
    later = report() | {"complete": False, "contenders": [], **{name: {} for name in SECTIONS}}

    with pytest.raises(GcposeError, match="B has measured nothing; finish its run"):
        compare_reports(report(), later)


def test_other_images_are_refused_if_accuracy_is_compared() -> None:
    later = report()
    later["accuracy"][MOBILE.id]["dataset"] = {"name": "val500", "sha256": "0"}

    with pytest.raises(GcposeError, match=r"val100 and val500.*--metrics latency,stages"):
        compare_reports(report(), later)
    assert not compare_reports(report(), later, metrics=("latency",)).regressed


def test_unknown_metrics_are_refused() -> None:
    with pytest.raises(GcposeError, match="'speed' is no metric"):
        compare_reports(report(), report(), metrics=("latency", "speed"))


def test_reports_without_anything_in_common_are_refused() -> None:
    later = report()
    later["contenders"] = [contender_of(later, MOVENET)]
    earlier = report()
    earlier["contenders"] = [contender_of(earlier, MOBILE)]

    with pytest.raises(GcposeError, match=r"measured in A: mobile fp32; in B: movenet\); .*--match"):
        compare_reports(earlier, later)


def test_what_else_differs_is_told() -> None:
    later = report()
    later["environment"]["versions"]["onnxruntime"] = "1.40.0"
    later["environment"]["governor"] = "powersave"
    later["commit"] = None
    contender_of(later, MOBILE)["weights_sha256"] = "other"
    later["sessions"][0]["after"]["throttled"] = {"core 0": "too hot"}

    comparison = compare_reports(report(), later)

    text = " | ".join(comparison.differences)
    for part in ("onnxruntime: 1.32.0 in A, 1.40.0 in B", "performance in A, powersave in B", "unknown in B"):
        assert part in text
    assert "mobile fp32: its weights differ" in text
    assert any("core 0" in line and line.startswith("B: ") for line in comparison.warnings)


def test_a_peer_that_moved_without_a_reason_points_to_the_machine() -> None:
    later = report()
    section = later["latency"][MOVENET.id]
    section["samples"]["end_to_end"] = [1.3 * value for value in section["samples"]["end_to_end"]]
    section["end_to_end"]["median"] *= 1.3

    comparison = compare_reports(report(), later)

    assert any("movenet is the same in both runs and yet took 1.30 times as long" in t for t in comparison.warnings)


def test_other_frames_of_the_clip_make_it_less_certain() -> None:
    later = report(seed=1)
    for section in later["latency"].values():
        section["samples"]["frame"] = [frame + 1 for frame in section["samples"]["frame"]]

    other, same = (compare_reports(report(), one) for one in (later, report(seed=1)))

    wide, narrow = (change(one, "end to end").interval for one in (other, same))
    assert wide is not None
    assert narrow is not None
    assert wide[1] - wide[0] > 1.2 * (narrow[1] - narrow[0])
    assert change(other, "stage pose").interval is None  # nothing tells what other frames would give
    assert any("other frames of the clip" in text for text in other.differences)


def test_the_interval_is_that_of_two_bootstraps() -> None:
    first, second = report(), report(seed=1)
    errors = []
    for one in (first, second):
        samples = one["latency"][MOBILE.id]["samples"]
        times = np.array(samples["end_to_end"])
        error = median_error(times, np.array(samples["round"]))
        assert error is not None
        errors.append(error / float(np.median(times)))

    whole = change(compare_reports(first, second), "end to end")

    assert whole.interval is not None
    reach = np.log(whole.interval[1] / whole.interval[0]) / 2
    assert 1.95 < reach / math.hypot(*errors, 0.01, 0.01) < 2.78  # many, or four degrees of freedom
    # The summary alone gives the same to the digit: stages have nothing else.
    del second["latency"][MOBILE.id]["samples"]
    assert change(compare_reports(first, second), "end to end").interval == pytest.approx(whole.interval, rel=1e-6)
