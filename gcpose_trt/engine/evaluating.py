"""Jobs of the build process that measure: average precision of a model, and which blocks INT8 harms most."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from gcpose_trt.engine.calibration import options_of
from gcpose_trt.engine.gate import annotations_of
from gcpose_trt.engine.request import BuildRequest
from gcpose_trt.errors import GcposeError
from gcpose_trt.evaluation import evaluate
from gcpose_trt.graph.emulation import emulate_float16
from gcpose_trt.graph.prepare import is_quantized, prepare_bundle
from gcpose_trt.plugins.library import ENVIRONMENT
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.bundle import BundlePaths
from gcpose_trt.runtime.estimator import PoseEstimator
from gcpose_trt.runtime.info import ModelInfo
from gcpose_trt.runtime.preprocess import Image, SizeRule

MIN_SCORE = 0.05  # as `gcpose-trt eval`: AP counts doubtful people too
RANKING_IMAGES = 4
_PHASE = "images"
Emit = Callable[..., None]


def measure(job: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Measure keypoint AP.

    Args:
        job: "request" (see `BuildRequest.to_dict`), "model" (folder of a model or of engines), "backend", "size",
            "max_people"; "plugins", the library of these engines, where it must be that one.
        emit: see `gcpose_trt.engine.worker`.

    Returns:
        "ap" (0 to 1) and "images"; or "unable", why the model cannot be run here.
    """
    request = BuildRequest.from_dict(job["request"])
    annotations = annotations_of(request)
    engines = job["backend"] == "tensorrt"
    if job.get("plugins") is not None:
        os.environ[ENVIRONMENT] = job["plugins"]
    size = None if engines else (int(job["size"][0]), int(job["size"][1]))
    try:
        estimator = PoseEstimator(
            job["model"], job["backend"], size=size, min_score=MIN_SCORE, max_people=int(job["max_people"])
        )
    except GcposeError as error:
        if not engines:
            raise
        return {"unable": str(error)}
    emit("phase", name=_PHASE, parent=None, steps=len(annotations.images))
    with estimator:
        counting = _Counting(estimator, emit)
        assert request.images is not None
        result = evaluate(counting, request.images, annotations, rank=estimator.rank)
    emit("finish", name=_PHASE)
    return {"ap": float(result.keypoints["AP"] or 0.0), "images": result.images}


class _Counting:
    """An estimator that tells of every frame."""

    def __init__(self, estimator: PoseEstimator, emit: Emit) -> None:
        self._estimator = estimator
        self._emit = emit
        self._frames = 0

    def __call__(self, frame: NDArray[Any], /) -> PoseFrame:
        """Find the people."""
        people = self._estimator(frame)
        self._emit("step", name=_PHASE, step=self._frames)
        self._frames += 1
        return people


def measure_graph(job: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Measure keypoint AP of the graphs that an engine is built from: the same Q/DQ pairs and roundings on the CPU.

    Attention, pooling, suppression and decode are the reference bodies, whatever computes them in the engine.

    Args:
        job: "request", "detector" and "pose" (ONNX files), "record" (the model's), "quantize" (or quantized already),
            "size", "max_people", "folder" (to write to).
        emit: see `gcpose_trt.engine.worker`.

    Returns:
        See `measure`.
    """
    request = BuildRequest.from_dict(job["request"])
    info = ModelInfo.from_dict(job["record"], job["detector"])
    graphs = prepare_bundle(
        BundlePaths(Path(job["detector"]), Path(job["pose"])),
        size=(int(job["size"][0]), int(job["size"][1])),
        batch=1,
        max_people=int(job["max_people"]),
        precision=request.precision,
        int8=options_of(request, info)[0] if job["quantize"] else None,
    )
    folder = Path(job["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in (("detector", graphs.detector), ("pose", graphs.pose)):
        emulate_float16(model)
        onnx.save(model, str(folder / f"{name}.onnx"))
    del graphs
    return measure({**job, "model": str(folder), "backend": "onnxruntime"}, emit)


def rank(job: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Say which blocks INT8 harms most, each quantized alone, on a few of the annotated images.

    Args:
        job: "request", "detector" and "pose" (ONNX files), "size".
        emit: see `gcpose_trt.engine.worker`.

    Returns:
        "blocks": [{"block", "harm", ...}], the most harmful first.
    """
    from gcpose_trt.quantization.sensitivity import ErrorMeter, Quantizer, rank_blocks

    request = BuildRequest.from_dict(job["request"])
    graphs = prepare_bundle(BundlePaths(Path(job["detector"]), Path(job["pose"])))
    if any(is_quantized(model) for model in (graphs.detector, graphs.pose)):
        return {"blocks": []}  # there is no telling what its blocks were
    options, _ = options_of(request, graphs.info)
    quantizer = Quantizer(graphs, options.calibration, "tensorrt", options.method)
    for key in [key for key in quantizer.blocks if any(fnmatchcase(key[1], name) for name in options.exclude)]:
        del quantizer.blocks[key]
    size = (int(job["size"][0]), int(job["size"][1]))
    models = {"detector": graphs.detector, "pose": graphs.pose}
    meter = ErrorMeter(models, _pictures(request), SizeRule(exact=size, short=None, long=max(size)))

    def bar(names: Sequence[str], title: str) -> Iterable[str]:
        emit("phase", name=title, parent=None, steps=len(names))
        for number, name in enumerate(names):
            yield name
            emit("step", name=title, step=number)
        emit("finish", name=title)

    return {"blocks": [error.to_dict() for error in rank_blocks(quantizer, meter, bar=bar)]}


def _pictures(request: BuildRequest) -> list[Image]:
    """Return the first images with people."""
    import cv2

    annotations = annotations_of(request)
    assert request.images is not None
    inhabited = {person["image_id"] for person in annotations.people if not person["iscrowd"]}
    chosen = annotations.subset([image["id"] for image in annotations.images if image["id"] in inhabited])
    frames = [cv2.imread(str(path)) for path in chosen.image_paths(request.images)[:RANKING_IMAGES]]
    return [frame.astype(np.uint8, copy=False) for frame in frames if frame is not None]
