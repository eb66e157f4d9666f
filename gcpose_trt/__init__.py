"""One-stage human pose estimation on the edge: GCPose R-CNN in PyTorch, ONNX Runtime and TensorRT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gcpose_trt.pose.types import PoseFrame
    from gcpose_trt.runtime.estimator import PoseEstimator

__all__ = ["PoseEstimator", "PoseFrame", "__version__"]


def __getattr__(name: str) -> Any:
    # Lazy, so that `gcpose-trt --help` does not pay for numpy and ONNX Runtime.
    if name == "PoseEstimator":
        from gcpose_trt.runtime.estimator import PoseEstimator

        return PoseEstimator
    if name == "PoseFrame":
        from gcpose_trt.pose.types import PoseFrame

        return PoseFrame
    raise AttributeError(f"module 'gcpose_trt' has no attribute {name!r}")
