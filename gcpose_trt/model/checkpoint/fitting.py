"""Putting converted weights into a network, all of them or none."""

from __future__ import annotations

from torch import Tensor, nn

from gcpose_trt.model.checkpoint.report import CheckpointError, Conversion, LoadReport, shorten

# A counter that only matters to batch norm without momentum; older files lack it.
COUNTERS = "num_batches_tracked"


def fit(model: nn.Module, conversion: Conversion) -> LoadReport:
    """Load `conversion` into `model` and account for every tensor of both sides.

    Raises:
        CheckpointError: names or shapes that do not match. The network is left untouched.
    """
    own = model.state_dict()
    missing = [
        name
        for name in own
        if name not in conversion.weights
        and not name.startswith(conversion.initialised)
        and not name.endswith(COUNTERS)
    ]
    foreign = [name for name in conversion.weights if name not in own]
    misshapen = [
        f"{name} is {_shape(value)}, not {_shape(own[name])}"
        for name, value in conversion.weights.items()
        if name in own and value.shape != own[name].shape
    ]
    if missing or foreign or misshapen or conversion.unknown:
        raise _mismatch(conversion, missing, foreign, misshapen)
    model.load_state_dict({**own, **conversion.weights})
    return LoadReport(
        family=conversion.family,
        loaded=tuple(name for name in own if name in conversion.weights),
        initialised=tuple(name for name in own if name not in conversion.weights),
        ignored=tuple(conversion.ignored),
        notes=tuple(conversion.notes),
    )


def _mismatch(conversion: Conversion, missing: list[str], foreign: list[str], misshapen: list[str]) -> CheckpointError:
    faults = {
        "missing": missing,
        "of no use": conversion.unknown + foreign,
        "of another shape": misshapen,
    }
    counts = "; ".join(f"{len(names)} {fault} ({shorten(names)})" for fault, names in faults.items() if names)
    listing = [f"{fault}: {name}" for fault, names in faults.items() for name in names]
    return CheckpointError(
        f"this checkpoint ({conversion.family}) does not fit the model: {counts}; "
        "choose the model it was made for, or list every name with gcpose-trt import-checkpoint --list",
        listing,
    )


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a scalar"
