"""The check itself: what it accepts and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed; pip install 'gcpose-trt[export]'")

from gcpose_trt.errors import GcposeError
from gcpose_trt.export.verification import check_inputs, compare, table
from gcpose_trt.runtime.backends import Detections
from gcpose_trt.runtime.preprocess import SizeRule

Array = NDArray[Any]
PEOPLE = 8


class FakeBackend:
    """Answers with the same people whatever it sees; `change` spoils the answers."""

    name = "fake"
    info: Any = None
    batch_limit = None

    def __init__(
        self,
        change: Callable[[Detections], Detections] = lambda found: found,
        change_keypoints: Callable[[Array], Array] = lambda keypoints: keypoints,
    ) -> None:
        self.change, self.change_keypoints = change, change_keypoints

    def detect(self, image: Array, image_size: Array) -> Detections:
        batch = len(image)
        corner = 40 * np.arange(PEOPLE, dtype=np.float32)[:, None] + np.zeros(2, np.float32)
        boxes = np.concatenate([corner, corner + 30], 1)
        return self.change(
            Detections(
                p2=np.linspace(-1, 1, 32, dtype=np.float32).reshape(1, 2, 4, 4).repeat(batch, 0),
                boxes=boxes[None].repeat(batch, 0),
                scores=np.linspace(0.9, 0.2, PEOPLE, dtype=np.float32)[None].repeat(batch, 0),
                count=np.full(batch, PEOPLE, np.int64),
            )
        )

    def pose(self, p2: Any, boxes: Array, batch_index: Array) -> Array:
        return self.change_keypoints(np.full((len(boxes), 17, 3), 0.5, np.float32))

    def close(self) -> None:
        pass


def verdicts(exported: FakeBackend) -> dict[str, bool]:
    frames = [np.zeros((40, 60, 3), np.uint8)] * 3
    stages = compare(FakeBackend(), exported, frames, SizeRule(long=96), lambda p2: p2)
    return {stage.name: stage.agrees for stage in stages}


def moved(found: Detections, people: int, pixels: float) -> Detections:
    boxes = found.boxes.copy()
    boxes[:, :people] += pixels
    return replace(found, boxes=boxes)


def test_equal_answers_agree() -> None:
    assert all(verdicts(FakeBackend()).values())


def test_order_of_the_people_does_not_matter() -> None:
    def reverse(found: Detections) -> Detections:
        return replace(found, boxes=found.boxes[:, ::-1], scores=found.scores[:, ::-1])

    assert all(verdicts(FakeBackend(reverse)).values())


@pytest.mark.parametrize(
    ("stage", "change"),
    [
        ("p2", lambda found: replace(found, p2=found.p2 + np.float32(0.01))),
        ("p2", lambda found: replace(found, p2=found.p2 * np.float32(np.nan))),
        ("boxes", lambda found: moved(found, 2, 5)),
        ("boxes", lambda found: moved(found, 0, 0) if len(found.p2) < 2 else moved(found, PEOPLE, 3)),
        ("scores", lambda found: replace(found, scores=found.scores * np.float32(0.95))),
        ("count", lambda found: replace(found, count=found.count - 1)),
    ],
)
def test_a_stage_that_differs_is_named(stage: str, change: Callable[[Detections], Detections]) -> None:
    assert not verdicts(FakeBackend(change))[stage]


@pytest.mark.parametrize(
    ("stage", "offset"),
    [
        ("keypoints", (1, 0, 0)),
        ("keypoints", (0, 0.8, 0)),
        ("keypoint scores", (0, 0, 0.01)),
        ("keypoints", (np.nan, 0, 0)),
    ],
)
def test_keypoints_that_differ_are_named(stage: str, offset: tuple[float, float, float]) -> None:
    exported = FakeBackend(change_keypoints=lambda keypoints: keypoints + np.array(offset, np.float32))
    assert not verdicts(exported)[stage]


def test_one_joint_in_many_may_jump() -> None:
    def jump(keypoints: Array) -> Array:
        if len(keypoints) > 5:
            keypoints[0, 0, 0] += 40
        return keypoints

    assert verdicts(FakeBackend(change_keypoints=jump))["keypoints"]


def test_nobody_in_the_images() -> None:
    empty = FakeBackend(lambda found: replace(found, count=found.count * 0))
    frames = [np.zeros((40, 60, 3), np.uint8)]
    with pytest.raises(GcposeError, match=r"nobody was found.*--images"):
        compare(empty, empty, frames, SizeRule(long=96), lambda p2: p2)


def test_another_shape_of_p2() -> None:
    with pytest.raises(GcposeError, match="P2 has shape"):
        verdicts(FakeBackend(lambda found: replace(found, p2=found.p2[:, :1])))


def test_inputs_vary_in_size_and_batch() -> None:
    frames = [np.zeros((40, 60, 3), np.uint8), np.zeros((60, 40, 3), np.uint8)]
    shapes = [image.shape for image, _ in check_inputs(frames, SizeRule(long=128))]
    assert shapes == [(1, 96, 128, 3), (1, 64, 64, 3), (2, 224, 160, 3)]
    shapes = [image.shape for image, _ in check_inputs(frames[:1], SizeRule(exact=(64, 96)))]
    assert shapes == [(1, 64, 96, 3), (2, 64, 96, 3)]


def test_table_names_the_stage_that_disagrees() -> None:
    stages = compare(
        FakeBackend(),
        FakeBackend(lambda found: moved(found, 3, 9)),
        [np.zeros((40, 60, 3), np.uint8)],
        SizeRule(long=96),
        lambda p2: p2,
    )
    lines = table(stages).splitlines()
    assert [line.split()[0] for line in lines if "DISAGREES" in line] == ["boxes"]
    assert len(lines) == 1 + len(stages)
