"""Calibrations that are wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gcpose_trt.quantization.record import CalibrationRecord, TensorRange


def scaled(record: CalibrationRecord, factor: float, wanted: Callable[[str], bool]) -> CalibrationRecord:
    """Return a calibration in which the ranges of the wanted tensors are wrong by a factor."""

    def wrong(entry: TensorRange) -> TensorRange:
        values = {key: getattr(entry, key) * factor for key in ("min", "max", "entropy", "mse", "mse_min", "mse_max")}
        return replace(entry, percentile={key: value * factor for key, value in entry.percentile.items()}, **values)

    tensors = {name: wrong(entry) if wanted(name) else entry for name, entry in record.tensors.items()}
    return replace(record, tensors=tensors)
