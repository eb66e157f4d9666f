"""From frames to poses through the two halves of a network: what every backend shares that does not do both in one go.

`PoseEstimator` calls it, and so does whatever reaches the halves in another way, such as a server's models.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.types import KEYPOINTS, PoseFrame
from gcpose_trt.runtime.backends import Backend, Detections
from gcpose_trt.runtime.preprocess import Image, Letterbox, Placed, SizeRule, fit_frame, place
from gcpose_trt.runtime.timing import Timing

CHUNK = 8  # frames of a batch that go through the network together: more costs memory and saves nothing


def estimate(
    backend: Backend,
    frames: Sequence[Image | Placed],
    rule: SizeRule,
    min_score: float,
    max_people: int,
    start: float | None = None,
) -> tuple[list[PoseFrame], Timing]:
    """Find the people of frames that go through the network together.

    Args:
        backend: the network.
        frames: (H, W, 3) BGR uint8 each, of any sizes, or what `preprocess.place_ahead` made of them by `rule`; at
            most `backend.batch_limit` where that is set.
        rule: their size in the network.
        min_score: leave out people below this score.
        max_people: keep the best so many of each frame.
        start: when work on the frames began, `time.perf_counter`; None is now.

    Returns:
        The poses of each frame, in pixels of that frame, and what the whole took.

    Raises:
        GcposeError: the network fails, or a frame was resized by another rule.
    """
    clock = [time.perf_counter() if start is None else start]
    image, boxes = _letterbox(frames, rule, backend.batch_limit)
    sizes = np.zeros((len(image), 2), np.int64)
    sizes[: len(boxes)] = [box.content for box in boxes]
    clock.append(time.perf_counter())
    found = backend.detect(image, np.maximum(sizes, 1))
    clock.append(time.perf_counter())
    keep = [_keep(found, row, min_score, max_people) for row in range(len(boxes))]
    people = np.concatenate([found.boxes[row][rows] for row, rows in enumerate(keep)])
    batch_index = np.repeat(np.arange(len(keep)), [len(rows) for rows in keep]).astype(np.int64)
    keypoints: NDArray[np.float32] = np.zeros((0, KEYPOINTS, 3), np.float32)
    if len(people):
        keypoints = backend.pose(found.p2, people, batch_index)
    clock.append(time.perf_counter())
    poses = [
        PoseFrame(
            boxes=box.boxes_to_frame(found.boxes[row][rows]),
            scores=found.scores[row][rows],
            keypoints=box.keypoints_to_frame(keypoints[batch_index == row]),
        )
        for row, (box, rows) in enumerate(zip(boxes, keep, strict=True))
    ]
    clock.append(time.perf_counter())
    return poses, Timing(*(1e3 * np.diff(clock)).tolist())


def _letterbox(frames: Sequence[Image | Placed], rule: SizeRule, batch: int | None) -> tuple[Image, list[Letterbox]]:
    """Place frames into one array (B, H, W, 3) that is large enough for all of them.

    Args:
        frames: BGR uint8, whole or resized.
        rule: their size in the network.
        batch: wanted B; rows without a frame stay black.
    """
    boxes = [fit_frame(frame, rule) for frame in frames]
    canvas = np.max([box.canvas for box in boxes], axis=0)
    image = np.zeros((batch or len(frames), *canvas, 3), np.uint8)
    for row, (frame, box) in enumerate(zip(frames, boxes, strict=True)):
        place(frame, box, image[row])
    return image, boxes


def _keep(found: Detections, row: int, min_score: float, max_people: int) -> NDArray[Any]:
    """Return the rows of one frame's people to go on with, best first."""
    count = int(found.count[row])
    scores = found.scores[row, :count]
    return np.flatnonzero(scores >= min_score)[:max_people]
