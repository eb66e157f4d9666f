"""Our own checkpoints: a bare state dict, or {"model": state dict, "config": name of the model, ...}."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from gcpose_trt.model.checkpoint.report import Conversion

FAMILY = "gcpose-trt"


def is_own(names: Iterable[str]) -> bool:
    """Tell whether these are our names."""
    return any(name.startswith("neck.lateral.") for name in names)


def convert_own(tensors: Mapping[str, Tensor]) -> Conversion:
    """Return the weights as they are; all must be there."""
    return Conversion(FAMILY, weights=dict(tensors))
