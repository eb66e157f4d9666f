"""Making a model of INT8 graphs for the CPU: two files beside the float model's, run by ONNX Runtime.

Activations are unsigned and weights signed, the pair that x86 processors with VNNI multiply without loss. Processors
without it add two such products in 16 bits, which saturates where both are large: there accuracy has to be measured
anew (gcpose-trt eval --precision int8); the numbers of this project are from a processor with VNNI.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import onnx

from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write
from gcpose_trt.graph.int8 import Int8Options, quantize
from gcpose_trt.graph.prepare import prepare_bundle
from gcpose_trt.graph.qdq import QdqReport
from gcpose_trt.quantization.record import CalibrationRecord
from gcpose_trt.runtime import bundle

METHOD = "percentile:99.999"  # cutting outliers off costs more than the steps it saves: 256 levels are enough for all


def quantize_bundle(
    source: str | os.PathLike[str],
    calibration: CalibrationRecord,
    output: Path,
    *,
    method: str = METHOD,
    exclude: Sequence[str] = (),
) -> dict[str, QdqReport]:
    """Write a model's INT8 form for ONNX Runtime on the CPU.

    Args:
        source: a float model as `gcpose_trt.runtime.bundle.find` takes it.
        calibration: made for it.
        output: folder to write detector.onnx and pose.onnx to; it is made. Called like the float model's with "-int8"
            behind it, the runtime's precision int8 finds it.
        method: which range of a value to take.
        exclude: patterns of layers or blocks to leave in floating point, beside those always left.

    Returns:
        What was done, by graph.

    Raises:
        GcposeError: no such model, the calibration is not for it, a pattern fits nothing, or the folder cannot be
            written or is the model's own.
    """
    paths = bundle.find(source)
    if output.resolve() == paths.detector.parent.resolve():
        raise GcposeError(f"{output} is the float model's own folder; choose another, such as {output.name}-int8")
    prepared = prepare_bundle(paths)
    models = {"detector": prepared.detector, "pose": prepared.pose}
    options = Int8Options(calibration, method=method, exclude=tuple(exclude), half=False, target="cpu")
    reports = quantize(models, options)
    for model in models.values():
        _name_precision(model)
        onnx.checker.check_model(model, full_check=True)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GcposeError(f"cannot make {output} ({error.strerror}); choose another folder") from error
    for graph, model in models.items():
        with atomic_write(output / f"{graph}.onnx", "wb") as stream:
            stream.write(model.SerializeToString(deterministic=True))
    return reports


def _name_precision(model: onnx.ModelProto) -> None:
    properties = {entry.key: entry.value for entry in model.metadata_props}
    record = {**json.loads(properties[bundle.METADATA_KEY]), "precision": "int8"}
    onnx.helper.set_model_props(model, {**properties, bundle.METADATA_KEY: json.dumps(record)})
