"""What does not come is given out again, but not for ever: rounds without a cluster."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import pytest

from gcpose_trt.batch.ray_data import RayExecutor
from gcpose_trt.batch.ray_streaming import failed_segment
from gcpose_trt.batch.types import Recipe, Segment, SegmentJob, SegmentPoses, SourcePlan, SourceSpec
from gcpose_trt.errors import GcposeError

RECIPE = Recipe("mobile", "0", "onnxruntime", "int8", "192", 0.5, 30, 1, 1, 30.0, 64, True, False)
PLAN = SourcePlan(
    SourceSpec("a", "/a.mp4", "video", (), "0"), tuple(Segment(n, n, None) for n in range(4)), 4, 1.0, None
)
JOBS = [SegmentJob(PLAN, segment, RECIPE) for segment in PLAN.segments]


class Rounds(RayExecutor):
    """Each round brings some segments, then ends, perhaps with an error."""

    def __init__(self, *script: tuple[Sequence[int], Exception | None]) -> None:
        super().__init__(RECIPE)
        self.script = list(script)
        self.asked: list[tuple[list[int], bool]] = []

    def _round(self, jobs: Sequence[SegmentJob], careful: bool) -> Generator[SegmentPoses, None, None]:
        self.asked.append(([job.segment.index for job in jobs], careful))
        come, error = self.script.pop(0)
        for index in come:
            yield failed_segment(("a", index), "")
        if error is not None:
            raise error


def run(rounds: Rounds) -> tuple[list[int], list[str]]:
    segments = list(rounds.estimate(JOBS))
    assert len({segment.segment for segment in segments}) == len(segments)
    return [segment.segment for segment in segments], [str(segment.failure) for segment in segments if segment.failure]


def test_only_what_is_missing_is_given_out_again() -> None:
    rounds = Rounds(([2, 0], None), ([3], RuntimeError("lost")), ([1], None))
    assert run(rounds) == ([2, 0, 3, 1], [])
    assert rounds.asked == [([0, 1, 2, 3], False), ([1, 3], True), ([1], True)]


def test_what_never_comes_is_given_up() -> None:
    rounds = Rounds(([0, 1], None), ([2], None), ([], None))
    found, failures = run(rounds)
    assert found == [0, 1, 2, 3]
    assert len(failures) == 1 and failures[0].startswith("its worker died 3 times")


def test_errors_end_the_run_where_nothing_comes_any_more() -> None:
    rounds = Rounds(([0], OSError("1")), *[([], OSError("node\nlost"))] * 3)
    with pytest.raises(
        GcposeError, match=r"^the Ray cluster failed \(OSError: node lost\); see `ray status`, then run"
    ):
        run(rounds)
    assert len(rounds.asked) == 4


def test_errors_do_not_count_as_long_as_something_comes() -> None:
    script: list[Any] = [([number], OSError("lost")) for number in range(3)]
    assert run(Rounds(*script, ([3], None)))[0] == [0, 1, 2, 3]


def test_what_can_be_put_right_is_not_tried_again() -> None:
    rounds = Rounds(([0], GcposeError("no such engine; build it")))
    with pytest.raises(GcposeError, match=r"^no such engine; build it$"):
        run(rounds)
