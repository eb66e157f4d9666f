"""Which calibration an INT8 engine is built from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gcpose_trt
from gcpose_trt.assets import FOLDER as SHIPPED
from gcpose_trt.engine.request import BuildRequest
from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.int8 import METHOD, Int8Options
from gcpose_trt.graph.qdq import QdqReport
from gcpose_trt.quantization.record import CalibrationRecord
from gcpose_trt.runtime.engine_record import file_sha256
from gcpose_trt.runtime.info import ModelInfo


def find_calibration(explicit: Path | None, info: ModelInfo) -> Path:
    """Return the calibration file: the one named, else the one that comes with the model.

    Args:
        explicit: what the user named.
        info: the model; a shipped file serves for its very weights only.

    Raises:
        GcposeError: none was named, and none comes with these weights.
    """
    if explicit is not None:
        return explicit
    for path in (
        SHIPPED / info.model / "calibration.json",
        Path(gcpose_trt.__file__).resolve().parents[1] / "calibration" / f"{info.model}.json",  # in a checkout
    ):
        if path.is_file() and CalibrationRecord.load(path).weights_sha256 == info.weights_sha256:
            return path
    raise GcposeError(
        f"no calibration comes with these weights of {info.model}; make one with gcpose-trt calibrate MODEL --images "
        "DIR --output FILE, and give it with --calibration FILE"
    )


def options_of(request: BuildRequest, info: ModelInfo, half: bool = True) -> tuple[Int8Options, Path]:
    """Return how a request wants its model quantized, and the file of the ranges."""
    path = find_calibration(request.calibration, info)
    method = request.calibration_method or METHOD
    return Int8Options(CalibrationRecord.load(path), method, request.exclude, half=half), path


def describe(options: Int8Options, path: Path, reports: dict[str, QdqReport]) -> dict[str, Any]:
    """Return what `engine.json` says of the quantization."""
    return {
        "calibration": {"path": str(path.absolute()), "sha256": file_sha256(path)},
        "images": options.calibration.images.get("count"),
        "method": options.method,
        "exclude": list(options.exclude),
        "layers": {graph: len(report.layers) for graph, report in reports.items()},
        "left_in_float": {graph: list(report.excluded) for graph, report in reports.items()},
        "remainder": "fp16",
    }
