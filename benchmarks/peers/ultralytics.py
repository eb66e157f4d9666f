"""Ultralytics' YOLO pose networks through the package ultralytics, from a .pt or .onnx file.

The package and its published weights are under AGPL-3.0: this file calls the user's own installation of it, and nothing
of it is part of this project.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from gcpose_trt import PoseFrame
from gcpose_trt.benchmark import adapting
from gcpose_trt.benchmark.contender import ContenderInfo, ContenderSpec, Image
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import KEYPOINTS

TITLE = "Ultralytics YOLO pose"
NEEDS = "its weights: a .pt file, or its own .onnx export"
WHAT = "a .pt or .onnx file of a YOLO pose network"
SOURCE = "give a file that you have, such as yolo11n-pose.pt; nothing is downloaded here"
INSTALL = "ultralytics"
LICENCE = "AGPL-3.0 (code and published weights)"

SUFFIXES = (".pt", ".onnx")
SIDE, STRIDE = 640, 32
MIN_SCORE = 0.25  # the package's own
PERSON = 0


def missing(spec: ContenderSpec) -> str | None:
    """See `Adapter.missing`."""
    return adapting.missing_package("ultralytics", INSTALL) or adapting.missing_weights(spec.model, WHAT, SOURCE)


def open(spec: ContenderSpec) -> YoloPose:
    """See `Adapter.open`."""
    return YoloPose(spec)


class YoloPose:
    """A YOLO pose network as the package runs it: rectangular letterbox for .pt, the file's own input for .onnx.

    Args:
        spec: `size` is the long side, 640 if it is left out; an export with an input of its own takes no other.
            `min_score` is the package's 0.25 if it is left out.

    Raises:
        GcposeError: the package or the file is missing, it is of another network, or a setting is wrong.
    """

    def __init__(self, spec: ContenderSpec) -> None:
        if reason := missing(spec):
            raise GcposeError(reason)
        suffix = Path(spec.model).suffix.lower()
        if suffix not in SUFFIXES:
            raise GcposeError(f"{Path(spec.model).name} is neither .pt nor .onnx; give {WHAT}")
        backend = {".pt": "torch", ".onnx": "onnxruntime"}[suffix]
        adapting.check_spec(spec, backends=(backend,))
        side = adapting.square_size(spec, STRIDE)
        self._min_score = MIN_SCORE if spec.min_score is None else spec.min_score
        device = _prepare(spec)
        self._predictor = _open(spec, device, side, self._min_score)
        network = self._predictor.model
        fixed = None if suffix == ".pt" or network.dynamic else tuple(int(length) for length in network.imgsz)
        if fixed and side and max(fixed) != side:
            raise GcposeError(f"{Path(spec.model).name} takes {fixed[0]}x{fixed[1]} only, not {side}; leave size out")
        self.info = ContenderInfo(
            backend=backend,
            precision="fp32",
            device=str(device),
            version=adapting.version("ultralytics", "torch", *(["onnxruntime"] if suffix == ".onnx" else [])),
            size=f"{fixed[0]}x{fixed[1]}" if fixed else f"long side {side or SIDE}",
            weights_sha256=adapting.sha256(spec.model),
            files=(spec.model,),
            licence=LICENCE,
            keypoint_threshold=0.5,
        )

    def run(self, frame: Image) -> tuple[PoseFrame, dict[str, float]]:
        """See `Contender.run`; what the package does around its three stages counts as "postprocess"."""
        start = time.perf_counter()
        (found,) = self._predictor(frame)
        boxes, scores, joints = (
            values.cpu().numpy() for values in (found.boxes.xyxy, found.boxes.conf, found.keypoints.data)
        )
        result = adapting.poses(boxes, scores, joints, frame.shape, self._min_score)
        total = 1e3 * (time.perf_counter() - start)
        stages = {"preprocess": found.speed["preprocess"], "network": found.speed["inference"]}
        return result, {**stages, "postprocess": max(total - sum(stages.values()), 0.0)}

    def close(self) -> None:
        """Drop the network."""
        del self._predictor


def _prepare(spec: ContenderSpec) -> Any:
    """Keep the package off the network and off pip, give PyTorch its threads, and return the device."""
    os.environ.update(YOLO_AUTOINSTALL="false", YOLO_OFFLINE="true", YOLO_VERBOSE="false")
    # First: importing ultralytics restricts a PyTorch that is imported later to one thread.
    import torch

    if spec.threads is not None:
        torch.set_num_threads(spec.threads)
    if Path(spec.model).suffix.lower() == ".onnx":
        adapting.onnx_providers(spec.device)  # for its error: the package would run on the CPU without a word
    return adapting.torch_device(spec.device)


def _open(spec: ContenderSpec, device: Any, side: int | None, min_score: float) -> Any:
    """Return the package's predictor with the network loaded."""
    from ultralytics.models.yolo.pose import PosePredictor

    settings = {
        "model": spec.model,
        "imgsz": side or SIDE,
        "conf": min_score,
        "classes": [PERSON],
        "device": str(device),
        "mode": "predict",
        "batch": 1,
        "rect": True,
        "save": False,
        "verbose": False,
    }
    name = Path(spec.model).name
    try:
        with adapting.ort_threads(spec.threads):
            predictor = PosePredictor(overrides=settings)
            predictor.setup_model(spec.model, verbose=False)
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged file makes the package, PyTorch or ONNX Runtime raise
        why = " ".join(str(error).split())[:200]
        raise GcposeError(f"{name} cannot be opened ({type(error).__name__}: {why}); give {WHAT}") from error
    if predictor.device.type != device.type:
        raise GcposeError(f"{name} runs on {predictor.device.type} here, not on {device}; install onnxruntime-gpu")
    shape = tuple(getattr(predictor.model, "kpt_shape", None) or ())
    if shape != (KEYPOINTS, 3):
        raise GcposeError(f"{name} has no {KEYPOINTS} joints with confidences (its shape is {shape}); give {WHAT}")
    return predictor
