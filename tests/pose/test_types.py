"""PoseFrame: shapes, and the way to JSON and back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose import PoseFrame


def people(count: int, seed: int = 0) -> PoseFrame:
    rng = np.random.default_rng(seed)
    return PoseFrame(
        boxes=rng.uniform(0, 5000, (count, 4)),
        scores=np.sort(rng.uniform(0, 1, count))[::-1],
        keypoints=rng.uniform(-100, 5000, (count, 17, 3)) * (1, 1, 1 / 5000),
    )


@given(count=st.integers(0, 5), seed=st.integers(0, 2**32 - 1), tracked=st.booleans())
def test_json_round_trip(count: int, seed: int, tracked: bool) -> None:
    frame = people(count, seed)
    if tracked:
        frame = PoseFrame(frame.boxes, frame.scores, frame.keypoints, np.arange(count) + 2**40)
    back = PoseFrame.from_dict(json.loads(json.dumps(frame.to_dict())))
    assert len(back) == count
    np.testing.assert_allclose(back.boxes, frame.boxes, atol=0.006)
    np.testing.assert_allclose(back.scores, frame.scores, atol=6e-5)
    np.testing.assert_allclose(back.keypoints[..., :2], frame.keypoints[..., :2], atol=0.006)
    np.testing.assert_allclose(back.keypoints[..., 2], frame.keypoints[..., 2], atol=6e-5)
    if tracked and count:
        np.testing.assert_array_equal(back.ids, frame.ids)
    # Rounded once, a record stays as it is.
    assert back.to_dict() == frame.to_dict() or not count


def test_numbers_in_json_are_short() -> None:
    frame = PoseFrame([[0.1, 0.2, 0.3, 1 / 3]], [0.1], np.full((1, 17, 3), 0.7))
    person = frame.to_dict()["people"][0]
    assert person["box"] == [0.1, 0.2, 0.3, 0.33]
    assert person["score"] == 0.1
    assert person["keypoints"][16] == [0.7, 0.7, 0.7]
    assert "id" not in person


def test_people_without_an_id_have_none_in_json() -> None:
    two = people(2)
    frame = PoseFrame(two.boxes, two.scores, two.keypoints, [-1, 3])
    record = frame.to_dict()
    assert "id" not in record["people"][0]
    assert record["people"][1]["id"] == 3
    back = PoseFrame.from_dict(record)
    assert back.ids is not None
    assert back.ids.tolist() == [-1, 3]
    nobody = PoseFrame(two.boxes, two.scores, two.keypoints, [-1, -1])
    assert PoseFrame.from_dict(nobody.to_dict()).ids is None


def test_types_and_length() -> None:
    frame = PoseFrame([[1, 2, 3, 4]], [1], np.zeros((1, 17, 3)), [7])
    assert len(frame) == 1
    assert (frame.boxes.dtype, frame.scores.dtype, frame.keypoints.dtype) == (np.float32,) * 3
    assert frame.ids is not None
    assert frame.ids.dtype == np.int64
    empty = PoseFrame.empty()
    assert len(empty) == 0
    assert empty.keypoints.shape == (0, 17, 3)


def test_equality_is_by_value() -> None:
    assert people(2) == people(2)
    assert people(2) != people(2, seed=1)
    assert people(2) != people(3)
    one = people(2)
    assert PoseFrame(one.boxes, one.scores, one.keypoints, [1, 2]) != one
    assert one != "a frame"


@pytest.mark.parametrize(
    ("boxes", "scores", "keypoints", "ids", "word"),
    [
        (np.zeros((2, 5)), np.zeros(2), np.zeros((2, 17, 3)), None, "boxes"),
        (np.zeros((2, 4)), np.zeros(3), np.zeros((2, 17, 3)), None, "scores"),
        (np.zeros((2, 4)), np.zeros(2), np.zeros((2, 16, 3)), None, "keypoints"),
        (np.zeros((2, 4)), np.zeros(2), np.zeros((1, 17, 3)), None, "keypoints"),
        (np.zeros((2, 4)), np.zeros(2), np.zeros((2, 17, 3)), [1], "ids"),
        ([[1, 2, 3, 4], [1, 2]], [1, 1], np.zeros((2, 17, 3)), None, "boxes"),
        (np.zeros((2, 4)), ["high", "low"], np.zeros((2, 17, 3)), None, "scores"),
    ],
)
def test_shapes_are_checked(boxes, scores, keypoints, ids, word) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(GcposeError, match=word):
        PoseFrame(boxes, scores, keypoints, ids)


@pytest.mark.parametrize("record", [{}, {"people": 3}, {"people": [{"box": [0, 0, 1, 1]}]}, {"people": [1]}])
def test_foreign_records_are_refused(record: dict) -> None:
    with pytest.raises(GcposeError, match="not a pose record"):
        PoseFrame.from_dict(record)
