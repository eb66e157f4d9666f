"""One side of a comparison: a network that also tells what it computed on the way."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.compare.spec import Spec
from gcpose_trt.runtime.info import ModelInfo

Array = NDArray[Any]


@dataclass(frozen=True)
class Detected:
    """What the detector computed for a batch of B inputs; everything float is float32, whatever it was computed in.

    Attributes:
        p2: (B, C, H/4, W/4), what the keypoint branch pools from.
        boxes: (B, K, 4); scores: (B, K); count: (B,), as `gcpose_trt.runtime.backends.Detections`.
        maps: what the box branch pools from, by name ("pyramid p3"); empty where the backend does not tell.
        proposals: (B, P, 4) of the region proposal network, or None.
        proposal_count: (B,) how many of them are in use, or None.
    """

    p2: Array
    boxes: Array
    scores: Array
    count: Array
    maps: Mapping[str, Array] = field(default_factory=dict)
    proposals: Array | None = None
    proposal_count: Array | None = None


@dataclass(frozen=True)
class Posed:
    """What the keypoint branch computed: keypoints (N, 17, 3), logits (N, 17, S, S) or None."""

    keypoints: Array
    logits: Array | None = None


class Side(Protocol):
    """A network whose stages can be looked at."""

    label: str
    info: ModelInfo
    batch_limit: int | None
    absent: Mapping[str, str]
    """Stages that this side does not tell, and why."""

    def detect(self, image: NDArray[np.uint8], image_size: NDArray[np.int64]) -> Detected:
        """Run the detector; arguments as `gcpose_trt.runtime.backends.Backend.detect`."""

    def refine(self, found: Detected, image_size: NDArray[np.int64]) -> tuple[Array, Array] | None:
        """Run only the box branch, on the maps and proposals of `found`, which another side may have computed.

        Returns:
            boxes (B, P, 4) and scores (B, P) of all proposals in their order, before non-maximum suppression; None
            where the backend cannot run it alone or takes other maps.
        """

    def pose(self, p2: Array, boxes: Array, batch_index: Array) -> Posed:
        """Run the keypoint branch on a map and boxes (N, 4), which another side may have computed."""

    def close(self) -> None:
        """Free the network."""


def open_side(spec: Spec, threads: int | None = None) -> Side:
    """Load what `spec` names.

    Args:
        spec: of `parse_spec`.
        threads: CPU threads of one inference, None leaves it to the backend.

    Raises:
        GcposeError: no such model, or the backend cannot run it.
        MissingDependencyError: a package of the backend is not installed.
    """
    if spec.backend == "onnxruntime":
        from gcpose_trt.compare.onnx_side import OnnxSide

        return OnnxSide(spec.model, spec.precision, threads=threads, label=str(spec))
    if spec.backend == "tensorrt":
        from gcpose_trt.compare.engine_side import EngineSide

        return EngineSide(spec.model, label=str(spec))
    from gcpose_trt.compare.torch_side import TorchSide

    device = "cuda" if spec.backend == "torch-cuda" else "cpu"
    return TorchSide(os.fspath(spec.model), device, spec.precision == "fp16", threads=threads, label=str(spec))
