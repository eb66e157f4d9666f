"""The network in PyTorch: configurations, parts, and import of checkpoints."""

from __future__ import annotations

import os
from pathlib import Path

from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.model.config import CONFIGS, ModelConfig

try:
    import torch  # noqa: F401
except ImportError as error:
    raise MissingDependencyError("torch", "export", "the PyTorch network") from error

from gcpose_trt.model.checkpoint import LoadReport, load_checkpoint, read_checkpoint
from gcpose_trt.model.network import Detections, GCPoseRCNN
from gcpose_trt.runtime import bundle

__all__ = [
    "CONFIGS",
    "Detections",
    "GCPoseRCNN",
    "LoadReport",
    "ModelConfig",
    "build_model",
    "load_checkpoint",
    "load_model",
]


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


def load_model(source: str | os.PathLike[str]) -> GCPoseRCNN:
    """Return a network with its weights, in evaluation mode.

    Args:
        source: a shipped name, a checkpoint that says what model it is of, an exported model (its folder or either
            file), or the name of a model that is not shipped, which then has random weights.

    Raises:
        GcposeError: there is no such model or file, or it does not say what model it is of.
    """
    name = os.fspath(source)
    if name in bundle.shipped_names():
        path = bundle.find(name).detector.parent
    elif name in CONFIGS:
        return build_model(name)
    else:
        path = Path(name)
        if not path.exists():
            raise GcposeError(
                f"{name!r} is neither a model nor a file; choose one of {', '.join(CONFIGS)} or a checkpoint"
            )
    content = read_checkpoint(path)
    config = content.get("config")
    if not isinstance(config, str):
        raise GcposeError(
            f"{path} does not say what model it is of; use gcpose-trt import-checkpoint {path} --model "
            f"{'|'.join(CONFIGS)}"
        )
    model = build_model(config)
    load_checkpoint(model, content)
    return model
