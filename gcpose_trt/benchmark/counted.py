"""The work of one frame with a given number of people in it, by a model of ours."""

from __future__ import annotations

import time

import numpy as np

from gcpose_trt.benchmark.contender import Image
from gcpose_trt.benchmark.crowd import crowd
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.backends import Backend, FusedBackend
from gcpose_trt.runtime.estimator import PoseEstimator
from gcpose_trt.runtime.preprocess import SizeRule, fit, place

_NOBODY = 2.0  # no score is above it


def run(estimator: PoseEstimator, frame: Image, people: int) -> dict[str, float]:
    """Run the network on a frame as if there were so many people in it.

    Args:
        estimator: it is as before when this returns.
        frame: (H, W, 3) BGR uint8.
        people: 0 or more.

    Returns:
        Milliseconds of the stages.

    Raises:
        GcposeError: backend tensorrt, and its detector proposes fewer.
    """
    # Its two halves are nobody's business but the estimator's, and this measurement's.
    backend, rule = estimator._backend, estimator._rule
    if backend is None:
        raise GcposeError("the estimator is closed; make a new PoseEstimator")
    if isinstance(backend, FusedBackend):
        return _best(backend, rule, frame, people)
    return _crowd(backend, rule, frame, people)


def _crowd(backend: Backend, rule: SizeRule, frame: Image, people: int) -> dict[str, float]:
    clock = [time.perf_counter()]
    box = fit((frame.shape[0], frame.shape[1]), rule)
    image = np.zeros((backend.batch_limit or 1, *box.canvas, 3), np.uint8)
    place(frame, box, image[0])
    clock.append(time.perf_counter())
    found = backend.detect(image, np.array([box.content] * len(image), np.int64))
    clock.append(time.perf_counter())
    keypoints = np.zeros((0, 17, 3), np.float32)
    if people:  # as `PoseEstimator` does: without people the pose network is not called
        keypoints = backend.pose(found.p2, crowd(people, *box.content), np.zeros(people, np.int64))
    clock.append(time.perf_counter())
    box.keypoints_to_frame(keypoints)
    clock.append(time.perf_counter())
    return dict(zip(("preprocess", "detector", "pose", "postprocess"), (1e3 * np.diff(clock)).tolist(), strict=True))


def _best(backend: FusedBackend, rule: SizeRule, frame: Image, people: int) -> dict[str, float]:
    ((poses, timing),) = backend.estimate([frame], rule, 0.0 if people else _NOBODY, max(people, 1))
    if len(poses[0]) != people:
        raise GcposeError(f"its detector proposes {len(poses[0])} people in this frame, not {people}; use another clip")
    return {
        "preprocess": timing.preprocess,
        "upload": timing.upload,
        "detector": timing.detector,
        "pose": timing.pose,
        "postprocess": timing.postprocess,
    }
