"""Two sides on the same frames: what differs, where, and what is beyond the limits."""

from __future__ import annotations

import numpy as np
import pytest

from gcpose_trt.compare.comparison import (
    A_INPUTS,
    END_TO_END,
    Comparison,
    Limits,
    Stage,
    compare_sides,
    size_rule,
)
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.preprocess import SizeRule
from tests.compare.fakes import BOXES, FRAME, FakeSide

RULE = SizeRule(long=64)


def compared(b: FakeSide, a: FakeSide | None = None, limits: Limits | None = None) -> Comparison:
    return compare_sides(a or FakeSide(), b, [FRAME, FRAME], RULE, limits)


def stage(comparison: Comparison, name: str, feed: str = END_TO_END) -> Stage:
    return next(row for row in comparison.stages if (row.name, row.feed) == (name, feed))


def test_equal_sides() -> None:
    found = compared(FakeSide())
    assert found.failures == []
    assert found.people.matched == 4
    assert found.people.changed == 0
    assert found.proposals_matched == 1
    assert all(row.difference.largest == 0 and row.difference.count for row in found.stages)
    assert [row.name for row in found.stages] == [
        "pyramid p3",
        "p2",
        "proposals",
        "box branch boxes",
        "box branch scores",
        "boxes",
        "scores",
        "logits",
        *["keypoint scores", "keypoints, all", "keypoints, clear"] * 2,
    ]


def test_a_fault_of_the_features_is_not_blamed_on_the_keypoint_branch() -> None:
    found = compared(FakeSide(p2_offset=0.3))
    moved = 0.3 * 10 * np.sqrt(2)
    assert stage(found, "p2").difference.relative_largest == pytest.approx(0.3)
    assert stage(found, "keypoints, clear", A_INPUTS).difference.largest == 0
    assert stage(found, "keypoints, clear").difference.p95 == pytest.approx(moved, rel=1e-4)
    assert found.failures == ["pyramid p3 (end to end)", "p2 (end to end)", "keypoints, clear (end to end)"]
    assert found.worst.moved == pytest.approx(moved, rel=1e-4)


def test_a_fault_of_the_keypoint_branch() -> None:
    found = compared(FakeSide(joint_offset=3.0))
    assert stage(found, "logits", A_INPUTS).difference.largest == 3
    assert stage(found, "keypoints, clear", A_INPUTS).difference.median == pytest.approx(3 * np.sqrt(2), rel=1e-4)
    assert f"keypoints, clear ({A_INPUTS})" in found.failures
    assert stage(found, "boxes").difference.largest == 0


def test_moved_boxes() -> None:
    found = compared(FakeSide(box_offset=3.0))
    assert stage(found, "boxes").difference.largest == 3
    assert stage(found, "box branch boxes", A_INPUTS).difference.largest == 3
    assert stage(found, "proposals").difference.largest == 3
    assert stage(found, "keypoints, clear", A_INPUTS).difference.largest == 0, "these have A's boxes"
    assert stage(found, "keypoints, clear").difference.largest > 4
    assert "boxes (end to end)" in found.failures


def test_people_gained_and_lost() -> None:
    other = BOXES.copy()
    other[1] = [8, 20, 50, 30]
    found = compared(FakeSide(boxes=other, scores=(0.9, 0.5)))
    assert found.people.matched == 2
    assert found.people.lost == [(0, pytest.approx(0.6)), (1, pytest.approx(0.6))]
    assert found.people.gained == [(0, 0.5), (1, 0.5)]
    assert found.people.changed == 1
    assert "people" in found.failures
    assert compared(FakeSide(boxes=other), limits=Limits(people=1, proposals=1)).failures == []


def test_a_person_below_the_score_is_lost() -> None:
    found = compared(FakeSide(scores=(0.9, 0.29)))
    assert len(found.people.lost) == 2
    assert stage(found, "scores").difference.count == 2
    assert found.failures == ["people"]


def test_nan_is_beyond_every_limit() -> None:
    forgiving = Limits(*[float("inf")] * 6)
    found = compared(FakeSide(p2_offset=float("nan")), limits=forgiving)
    assert "p2 (end to end)" in found.failures
    assert "keypoints, clear (end to end)" in found.failures


def test_absent_stages_are_said_to_be_absent() -> None:
    engine = FakeSide("engine", proposals=False, logits=False, absent={"logits": "an engine returns no logits"})
    for found in (compared(engine), compared(FakeSide(), engine)):
        assert {row.name for row in found.stages} >= {"p2", "boxes", "keypoints, clear"}
        assert not {row.name for row in found.stages} & {"pyramid p3", "proposals", "logits", "box branch boxes"}
        assert found.absent["logits"] == "engine: an engine returns no logits"
        assert found.proposals_matched is None
        assert found.failures == []


def test_maps_of_other_shapes_are_not_compared() -> None:
    found = compared(FakeSide("wide", channels=5))
    assert found.absent["p2"] == "shapes differ, (1, 3, 16, 16) and (1, 5, 16, 16)"
    assert "keypoint branch" in found.absent
    assert {row.feed for row in found.stages if row.name.startswith("keypoint")} == {END_TO_END}


def test_a_fixed_batch_is_filled() -> None:
    side, free = FakeSide(batch_limit=3), FakeSide()
    found = compared(side, free)
    assert (found.failures, found.absent) == ([], {})
    assert side.batches == free.batches == [3, 3]
    assert "shapes differ" in compared(side, FakeSide(batch_limit=2)).absent["p2"]


def test_nobody() -> None:
    nobody = FakeSide(boxes=np.zeros((0, 4), np.float32), scores=())
    with pytest.raises(GcposeError, match=r"nobody was found.*--images"):
        compared(nobody, FakeSide(boxes=np.zeros((0, 4), np.float32), scores=()))
    found = compared(nobody)
    assert len(found.people.lost) == 4
    assert "people" in found.failures


def test_worst_frame_is_the_one_where_somebody_is_lost() -> None:
    class Forgetful(FakeSide):
        def detect(self, image, image_size):  # type: ignore[no-untyped-def]
            self.boxes = BOXES[: 1 if len(self.batches) == 1 else 2]
            return super().detect(image, image_size)

    found = compare_sides(FakeSide(), Forgetful(joint_offset=5.0), [FRAME] * 3, RULE)
    assert found.worst.index == 1
    assert (len(found.worst.a), len(found.worst.b)) == (2, 1)


def test_size_rule() -> None:
    free, fixed, other = FakeSide("free"), FakeSide("fixed", size=[64, 96]), FakeSide("other", size=[32, 32])
    assert size_rule(free, free, None) == free.info.size_rule
    assert size_rule(free, free, SizeRule(long=96)).long == 96
    assert size_rule(free, fixed, None).exact == (64, 96)
    assert size_rule(fixed, free, SizeRule(exact=(64, 96))).exact == (64, 96)
    with pytest.raises(GcposeError, match=r"fixed takes 64x96 and other takes 32x32"):
        size_rule(fixed, other, None)
    with pytest.raises(GcposeError, match=r"leave --size out"):
        size_rule(free, fixed, SizeRule(long=64))
