"""The exporter's own check: the PyTorch network against the exported files, stage by stage, on real frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.compare.matching import match
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.backends import Backend, Detections
from gcpose_trt.runtime.preprocess import Image, SizeRule, fit, place

Array = NDArray[Any]

# The limits, all in one place. Both sides compute in float32 but add in different orders, and differences seen are 1e-7
# to 1e-4 of a value. A wrong weight, scale, channel order or half-pixel offset shows as 1e-2 and more.
P2_LIMIT = 1e-3  # largest difference / largest value of the map
SCORE_LIMIT = 2e-3  # softmax scores of the same box
BOX_LIMIT = 0.5  # pixels, corners of the same box
KEYPOINT_LIMIT = 0.5  # pixels
KEYPOINT_SCORE_LIMIT = 2e-3
# Two boxes of equal score may change places at the border of top-k or NMS, and two heatmap cells of equal height at the
# argmax. Those few differ wholly, the others agree: hence shares and not largest differences.
SAME_BOX_IOU = 0.99
BOX_SHARE = 0.98
KEYPOINT_SHARE = 0.99


@dataclass(frozen=True)
class Stage:
    """How far the two sides are apart after one stage."""

    name: str
    largest: float
    median: float
    limit: str
    agrees: bool


class _Collector:
    """Differences of every stage over all inputs."""

    def __init__(self) -> None:
        self.p2: list[float] = []
        self.box: list[float] = []
        self.score: list[float] = []
        self.count: list[float] = []
        self.keypoint: list[float] = []
        self.keypoint_score: list[float] = []
        self.boxes = 0
        self.pairs = 0

    def add_detections(self, expected: Detections, found: Detections) -> None:
        a, b = _array(expected.p2), _array(found.p2)
        if a.shape != b.shape:
            raise GcposeError(f"P2 has shape {b.shape} instead of {a.shape}; report this, and export a fixed --size")
        peak = max(float(np.abs(a).max()), 1e-12)
        self.p2 += [float(np.abs(x - y).max()) / peak for x, y in zip(a, b, strict=True)]
        for row in range(len(a)):
            n, m = int(expected.count[row]), int(found.count[row])
            self.count.append(abs(n - m))
            pairs = match(expected.boxes[row, :n], found.boxes[row, :m], SAME_BOX_IOU)
            self.boxes += max(n, m)
            self.pairs += len(pairs)
            if len(pairs):
                i, j = pairs.T
                self.box += np.abs(expected.boxes[row, i] - found.boxes[row, j]).max(1).tolist()
                self.score += np.abs(expected.scores[row, i] - found.scores[row, j]).tolist()

    def add_keypoints(self, expected: Array, found: Array) -> None:
        distance = np.hypot(*np.moveaxis(expected[..., :2] - found[..., :2], -1, 0))
        self.keypoint += distance.ravel().tolist()
        self.keypoint_score += np.abs(expected[..., 2] - found[..., 2]).ravel().tolist()

    def stages(self) -> list[Stage]:
        if not self.boxes:
            raise GcposeError("nobody was found in the images of the check; give images with people with --images")
        box_share = self.pairs / self.boxes
        keypoint_share = float(np.mean(np.array(self.keypoint) <= KEYPOINT_LIMIT))
        boxes = f"{BOX_SHARE:.0%} matched ({box_share:.1%}), {BOX_LIMIT} px"
        boxes_agree = box_share >= BOX_SHARE and _within(self.box, BOX_LIMIT)
        count = f"mean {1 - BOX_SHARE:.0%} of the people"
        count_agrees = sum(self.count) <= (1 - BOX_SHARE) * self.boxes
        keypoints = f"{KEYPOINT_SHARE:.0%} ({keypoint_share:.1%}) within {KEYPOINT_LIMIT} px"
        return [
            _stage("p2", self.p2, f"{P2_LIMIT} of its peak", _within(self.p2, P2_LIMIT)),
            _stage("boxes", self.box, boxes, boxes_agree),
            _stage("scores", self.score, f"{SCORE_LIMIT}", _within(self.score, SCORE_LIMIT)),
            _stage("count", self.count, count, count_agrees),
            _stage("keypoints", self.keypoint, keypoints, keypoint_share >= KEYPOINT_SHARE),
            _stage(
                "keypoint scores",
                self.keypoint_score,
                f"{KEYPOINT_SCORE_LIMIT}",
                _within(self.keypoint_score, KEYPOINT_SCORE_LIMIT),
            ),
        ]


def _array(value: Any) -> Array:
    """Return a backend's own tensor as an array."""
    array: Array = value if isinstance(value, np.ndarray) else value.numpy()
    return array


def _within(differences: Sequence[float], limit: float) -> bool:
    # Written so that a NaN fails.
    return all(difference <= limit for difference in differences)


def _stage(name: str, differences: Sequence[float], limit: str, agrees: bool) -> Stage:
    values = np.array(differences or [0.0])
    return Stage(name, float(values.max()), float(np.median(values)), limit, agrees)


def check_inputs(frames: Sequence[Image], rule: SizeRule) -> list[tuple[Image, NDArray[np.int64]]]:
    """Return letterboxed batches (B, H, W, 3) with the sizes (B, 2) of what is in them.

    Frames go one by one, the first at the model's own size, then up to three at once with padding. Where the size is
    dynamic, the later frames have half of it and the batch a shape of its own, so that nothing that the tracing took
    for a constant can hide.
    """
    half = dataclasses.replace(rule, short=rule.short and rule.short // 2, long=rule.long // 2)
    inputs = []
    for index, frame in enumerate(frames):
        box = fit((frame.shape[0], frame.shape[1]), half if index and rule.exact is None else rule)
        inputs.append((place(frame, box)[None], np.array([box.content], np.int64)))
    together = SizeRule(exact=rule.exact or (rule.divisor * 7, rule.divisor * 5), divisor=rule.divisor)
    chosen = list(frames[:3]) if len(frames) > 1 else [frames[0], np.ascontiguousarray(frames[0][:, ::-1])]
    boxes = [fit((frame.shape[0], frame.shape[1]), together) for frame in chosen]
    batch = np.stack([place(frame, box) for frame, box in zip(chosen, boxes, strict=True)])
    inputs.append((batch, np.array([box.content for box in boxes], np.int64)))
    return inputs


def compare(
    reference: Backend,
    exported: Backend,
    frames: Sequence[Image],
    rule: SizeRule,
    to_exported: Callable[[Array], Any],
) -> list[Stage]:
    """Run both on the same inputs.

    Args:
        reference: the PyTorch network.
        exported: the exported files.
        frames: BGR frames (h, w, 3) uint8, with people in them.
        rule: size of the network's input.
        to_exported: turns an array P2 into what `exported` takes. Both pose halves get the reference's P2 and boxes, so
            that a stage shows its own differences only.

    Raises:
        GcposeError: there are no people in the frames, or an output has another shape.
    """
    differences = _Collector()
    for image, size in check_inputs(frames, rule):
        expected, found = reference.detect(image, size), exported.detect(image, size)
        differences.add_detections(expected, found)
        p2 = to_exported(np.ascontiguousarray(_array(expected.p2)))
        for boxes, batch_index in _pose_inputs(expected, size):
            keypoints = reference.pose(expected.p2, boxes, batch_index)
            differences.add_keypoints(keypoints, exported.pose(p2, boxes, batch_index))
    return differences.stages()


def _pose_inputs(found: Detections, size: NDArray[np.int64]) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Return (boxes, batch_index): the five best people of each image at once, then one person alone."""
    boxes, rows = [], []
    for row, count in enumerate(found.count.tolist()):
        people = found.boxes[row, : min(count, 5)]
        if not len(people):
            height, width = size[row]
            people = np.array([[0, 0, width, height]], np.float32)
        boxes.append(people)
        rows.append(np.full(len(people), row, np.int64))
    together, batch_index = np.concatenate(boxes), np.concatenate(rows)
    return [(together, batch_index), (together[-1:], batch_index[-1:])]


def table(stages: Sequence[Stage]) -> str:
    """Return the stages as lines of text."""
    lines = [f"{'stage':<16}{'largest':>10}{'median':>10}  limit"]
    for stage in stages:
        verdict = "" if stage.agrees else "  <- DISAGREES"
        lines.append(f"{stage.name:<16}{stage.largest:>10.2g}{stage.median:>10.2g}  {stage.limit}{verdict}")
    return "\n".join(lines)
