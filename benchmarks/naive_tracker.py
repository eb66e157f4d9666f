"""What people write first: the box that overlaps most is the same person. A yardstick."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose import PoseFrame
from gcpose_trt.pose.tracking.similarity import iou


class NaiveTracker:
    """Greedy by IoU with the box as last seen, at least 0.3; births from a score of 0.4, deaths after a second."""

    def __init__(self) -> None:
        self._next = 1
        self._tracks: dict[int, tuple[NDArray[np.float32], float]] = {}

    def update(self, poses: PoseFrame, time_s: float) -> PoseFrame:
        """Say who is who."""
        self._tracks = {number: track for number, track in self._tracks.items() if time_s - track[1] <= 1.0}
        numbers = list(self._tracks)
        ids = np.full(len(poses), -1)
        if numbers and len(poses):
            overlap = iou(np.array([self._tracks[number][0] for number in numbers]), poses.boxes)
            while overlap.max() >= 0.3:
                row, column = np.unravel_index(overlap.argmax(), overlap.shape)
                ids[column] = numbers[row]
                overlap[row], overlap[:, column] = 0, 0
        for row in np.flatnonzero((ids < 0) & (poses.scores >= 0.4)):
            ids[row] = self._next
            self._next += 1
        for row in np.flatnonzero(ids > 0):
            self._tracks[int(ids[row])] = (poses.boxes[row], time_s)
        return PoseFrame(poses.boxes, poses.scores, poses.keypoints, ids)
