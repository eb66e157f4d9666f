"""The network in PyTorch: configurations, parts, and import of checkpoints."""

from __future__ import annotations

from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.model.config import CONFIGS, ModelConfig

try:
    import torch  # noqa: F401
except ImportError as error:
    raise MissingDependencyError("torch", "export", "the PyTorch network") from error

from gcpose_trt.model.checkpoint import LoadReport, load_checkpoint
from gcpose_trt.model.network import Detections, GCPoseRCNN

__all__ = ["CONFIGS", "Detections", "GCPoseRCNN", "LoadReport", "ModelConfig", "build_model", "load_checkpoint"]


def build_model(name: str | ModelConfig) -> GCPoseRCNN:
    """Build a network with random weights, in evaluation mode.

    Args:
        name: "r50", "r101", "mobile", or a configuration of your own.

    Raises:
        GcposeError: there is no such model.
    """
    if isinstance(name, str):
        if name not in CONFIGS:
            raise GcposeError(f"no model is called {name!r}; choose one of {', '.join(CONFIGS)}")
        name = CONFIGS[name]
    return GCPoseRCNN(name).eval()
