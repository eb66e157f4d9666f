"""The network in PyTorch: configurations, parts, and import of checkpoints."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.model.config import CONFIGS, ModelConfig

try:
    import torch
except ImportError as error:
    raise MissingDependencyError("torch", "export", "the PyTorch network") from error

from gcpose_trt.model.network import Detections, GCPoseRCNN

__all__ = ["CONFIGS", "Detections", "GCPoseRCNN", "ModelConfig", "build_model", "load_checkpoint"]


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


def load_checkpoint(
    model: GCPoseRCNN, source: Mapping[str, Any] | Mapping[str, torch.Tensor] | str | os.PathLike[str]
) -> None:
    """Load weights into `model`, whatever family of names they come with; see `gcpose_trt.model.checkpoint`."""
    from gcpose_trt.model.checkpoint import load_checkpoint as load

    load(model, source)
