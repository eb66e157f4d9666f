"""What a contender finds in the frames, untimed."""

from __future__ import annotations

import contextlib
from typing import Any

from gcpose_trt.benchmark.contender import Contender
from gcpose_trt.benchmark.operations.frames import Decoder
from gcpose_trt.pose.types import PoseFrame

PIXELS, SCORES = 4, 6  # decimals: finer than pose records have, because two backends are compared by them


def run(contender: Contender, request: dict[str, Any]) -> dict[str, Any]:
    """Find the people of some frames.

    Args:
        contender: who looks.
        request: "clip", "indices" (numbers of the frames, ascending).

    Returns:
        "frames", a record of each frame in turn: "boxes" (N, 4), "scores" (N,), "keypoints" (N, 17, 3), in pixels of
        the frame.
    """
    with contextlib.closing(Decoder(request["clip"])) as decoder:
        return {"frames": [_record(contender.run(decoder.read(index)[0])[0]) for index in request["indices"]]}


def _record(poses: PoseFrame) -> dict[str, Any]:
    # In float64: rounded float32 would print all its digits.
    keypoints = poses.keypoints.astype(float)
    keypoints[..., :2] = keypoints[..., :2].round(PIXELS)
    keypoints[..., 2] = keypoints[..., 2].round(SCORES)
    return {
        "boxes": poses.boxes.astype(float).round(PIXELS).tolist(),
        "scores": poses.scores.astype(float).round(SCORES).tolist(),
        "keypoints": keypoints.tolist(),
    }
