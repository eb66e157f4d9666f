"""The job of the build process that says which of several engines is fastest, each run as the user will run it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gcpose_trt.assets import SAMPLE
from gcpose_trt.engine.gate import annotations_of
from gcpose_trt.engine.request import BuildRequest
from gcpose_trt.errors import GcposeError
from gcpose_trt.plugins.library import ENVIRONMENT
from gcpose_trt.runtime.cuda import open_device
from gcpose_trt.runtime.estimator import PoseEstimator
from gcpose_trt.runtime.preprocess import Image

ROUNDS, WARM_UP = 60, 12
_FRAMES = 60  # more would fill the memory of a small board
_PHASE = "rounds"
Emit = Callable[..., None]


def probe(job: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Find out, before anything is built, whether engines can be run here.

    Returns:
        "gpu", its name.

    Raises:
        GcposeError: no binding of CUDA, no driver, or no GPU.
    """
    device = open_device()
    try:
        return {"gpu": device.info.name}
    finally:
        device.close()


def race(job: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Time engines in turn on the same frames, so that whatever slows the machine down meanwhile slows all of them.

    Args:
        job: "request" (see `BuildRequest.to_dict`), "folders" {name: engine folder}, "plugins" (file or None).
        emit: see `gcpose_trt.engine.worker`.

    Returns:
        "milliseconds" {name: from frames to poses, one a round}, "failed" {name: why it cannot be run}, "frames".
    """
    request = BuildRequest.from_dict(job["request"])
    if job["plugins"] is not None:
        os.environ[ENVIRONMENT] = job["plugins"]
    failed: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        running: dict[str, PoseEstimator] = {}
        for name, folder in job["folders"].items():
            try:
                running[name] = stack.enter_context(PoseEstimator(folder, "tensorrt"))
            except GcposeError as error:
                failed[name] = str(error)
        frames = _frames(request)
        taken: dict[str, list[float]] = {name: [] for name in running}
        emit("phase", name=_PHASE, parent=None, steps=WARM_UP + ROUNDS)
        for number in range(WARM_UP + ROUNDS):
            batch = [frames[(number * request.batch + index) % len(frames)] for index in range(request.batch)]
            # Who starts a round takes turns too: the first may find the GPU's clock fallen.
            names = list(running)
            start = number % max(1, len(names))
            for name in names[start:] + names[:start]:
                _run(name, running, batch, taken, failed)
            emit("step", name=_PHASE, step=number)
        emit("finish", name=_PHASE)
    return {
        "milliseconds": {name: values[WARM_UP:] for name, values in taken.items() if name not in failed},
        "failed": failed,
        "frames": len(frames),
    }


def _run(
    name: str,
    running: dict[str, PoseEstimator],
    batch: list[Image],
    taken: dict[str, list[float]],
    failed: dict[str, str],
) -> None:
    start = time.perf_counter()
    try:
        running[name].run_batch(batch)
    except GcposeError as error:
        failed[name] = str(error)
        del running[name]
        return
    taken[name].append(1e3 * (time.perf_counter() - start))


def _frames(request: BuildRequest) -> list[Image]:
    """Return the images of the gate, or frames of the sample clip: with people, whose number costs time too."""
    import cv2

    if request.images is None:
        clip = cv2.VideoCapture(str(SAMPLE))
        found: list[Any] = [clip.read()[1] for _ in range(_FRAMES)]
        clip.release()
    else:
        found = [cv2.imread(str(path)) for path in annotations_of(request).image_paths(request.images)[:_FRAMES]]
    frames = [frame.astype(np.uint8, copy=False) for frame in found if frame is not None]
    if not frames:
        raise GcposeError(f"no frame of {request.images or SAMPLE} can be read; give other images with --images")
    return frames
