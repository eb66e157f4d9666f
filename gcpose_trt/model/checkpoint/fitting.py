"""Putting converted weights into a network, all of them or none."""

from __future__ import annotations

from torch import Tensor

from gcpose_trt.model.checkpoint.report import CheckpointError, Conversion, LoadReport, shorten
from gcpose_trt.model.config import CONFIGS
from gcpose_trt.model.network import GCPoseRCNN

# Matters only to batch norms without momentum, which the network has none of; older files lack it.
COUNTER = "num_batches_tracked"


def fit(model: GCPoseRCNN, conversion: Conversion) -> LoadReport:
    """Load `conversion` into `model` and account for every tensor of both sides.

    Raises:
        CheckpointError: another architecture, or names or shapes that do not match. The network is left untouched.
    """
    own = model.state_dict()
    optional = tuple(name for name in own if name.startswith(conversion.initialised) or name.endswith(COUNTER))
    missing = [name for name in own if name not in conversion.weights and name not in optional]
    foreign = [name for name in conversion.weights if name not in own]
    misshapen = [
        f"{name} is {_shape(value)}, not {_shape(own[name])}"
        for name, value in conversion.weights.items()
        if name in own and value.shape != own[name].shape
    ]
    faults = {"missing": missing, "of no use": conversion.unknown + foreign, "of another shape": misshapen}
    if any(faults.values()):
        raise _mismatch(model, conversion, faults)
    model.load_state_dict({**own, **conversion.weights})
    return LoadReport(
        family=conversion.family,
        loaded=tuple(name for name in own if name in conversion.weights),
        initialised=tuple(name for name in own if name not in conversion.weights),
        ignored=tuple(conversion.ignored),
        notes=tuple(conversion.notes),
    )


def _mismatch(model: GCPoseRCNN, conversion: Conversion, faults: dict[str, list[str]]) -> CheckpointError:
    listing = [f"{fault}: {name}" for fault, names in faults.items() for name in names]
    if conversion.backbone != model.config.backbone:
        fitting = " or ".join(name for name, config in CONFIGS.items() if config.backbone == conversion.backbone)
        return CheckpointError(
            f"this checkpoint ({conversion.family}) is for {fitting} ({conversion.backbone}), not for "
            f"{model.config.name} ({model.config.backbone}); choose the other model or another checkpoint",
            listing,
        )
    counts = "; ".join(f"{len(names)} {fault} ({shorten(names)})" for fault, names in faults.items() if names)
    return CheckpointError(
        f"this checkpoint ({conversion.family}) does not fit {model.config.name}: {counts}; "
        "list every name with gcpose-trt import-checkpoint --list, and choose a checkpoint made for this model",
        listing,
    )


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a scalar"
