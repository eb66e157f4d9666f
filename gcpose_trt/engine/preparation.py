"""From the two ONNX files of a model to the files that a builder takes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from gcpose_trt.engine import weak_typing
from gcpose_trt.engine.calibration import describe, options_of
from gcpose_trt.engine.request import BuildRequest, choose_people, choose_size
from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.int8 import Int8Options
from gcpose_trt.graph.prepare import PreparedGraphs, is_quantized, prepare_bundle
from gcpose_trt.graph.qdq import is_for_cpu
from gcpose_trt.runtime.bundle import METADATA_KEY, BundlePaths, check_pair, read_record
from gcpose_trt.runtime.engine_record import file_sha256
from gcpose_trt.runtime.info import ModelInfo
from gcpose_trt.runtime.tensorrt_api import load


def prepare_parts(request: BuildRequest, detector: Path, pose: Path, work: Path) -> dict[str, Any]:
    """Write the graphs of an engine folder.

    Args:
        request: what to build.
        detector: ONNX file.
        pose: ONNX file.
        work: folder to write `NAME.onnx` to.

    Returns:
        Values that JSON takes, see `gcpose_trt.engine.worker.prepare`.

    Raises:
        GcposeError: a file is not one of ours, or the request does not go with it.
    """
    paths = BundlePaths(detector, pose)
    loaded = {"detector": _load(detector), "pose": _load(pose)}
    records = {name: {entry.key: entry.value for entry in model.metadata_props} for name, model in loaded.items()}
    quantized = any(is_quantized(model) for model in loaded.values())
    if quantized and any(is_for_cpu(model) for model in loaded.values()):
        raise GcposeError(
            f"{paths.detector.parent} was quantized for the CPU, which TensorRT does not take; build from the float "
            "model with --precision int8 --calibration JSON"
        )
    del loaded
    info = check_pair(
        read_record(records["detector"], "detector", detector), read_record(records["pose"], "pose", pose), paths
    )
    size, people = choose_size(request.size, info), choose_people(request.max_people, info)
    rtx = request.target == "tensorrt-rtx"
    int8, calibration = _int8(request, info, quantized)
    prepared = _prepare(request, paths, size, people, int8)
    outside: list[str] = []
    graphs = {"detector": prepared.detector, "pose": prepared.pose}
    if rtx:
        from gcpose_trt.graph.segments import split_for_rtx

        segments, outside = split_for_rtx(prepared.detector, prepared.pose)
        graphs = {segment.name: segment.model for segment in segments}
    parts = {}
    for name, model in graphs.items():
        parts[name] = str(work / f"{name}.onnx")
        onnx.save(model, parts[name])
    if int8 is not None and not int8.half:
        _write_types(_prepare(request, paths, size, people, replace(int8, half=True)), parts)
    return {
        "size": list(size),
        "max_people": people,
        "model": json.loads(records["detector"][METADATA_KEY]),
        "weights_sha256": info.weights_sha256,
        "onnx_sha256": {"detector": file_sha256(detector), "pose": file_sha256(pose)},
        "parts": parts,
        "int8": describe(int8, calibration, prepared.int8) if int8 is not None and calibration is not None else None,
        "outside": list(outside),
        "notes": [str(note) for note in prepared.notes],
    }


def _int8(request: BuildRequest, info: ModelInfo, quantized: bool) -> tuple[Int8Options | None, Path | None]:
    """Return how to quantize and the calibration's file; None twice where that is not to be done."""
    if request.precision != "int8":
        return None, None
    if quantized and request.calibration is None:  # by whoever made it
        if request.exclude or request.calibration_method:
            raise GcposeError(
                "the model is quantized already, so --exclude and --calibration-method come too late; leave them out, "
                "or give the float model"
            )
        return None, None
    # TensorRT 8 reads scales in FP32 only and types of the graph as hints: it is told the types layer by layer.
    half = request.target == "tensorrt-rtx" or load(request.target).strongly_typed_flag is not None
    return options_of(request, info, half)


def _prepare(
    request: BuildRequest, paths: BundlePaths, size: tuple[int, int], people: int, int8: Int8Options | None
) -> PreparedGraphs:
    rtx = request.target == "tensorrt-rtx"
    return prepare_bundle(
        paths,
        size=size,
        batch=request.batch,
        max_people=people,
        precision=request.precision,
        # TensorRT-RTX has no plugins; TensorRT's parsers choose between body and plugin differently from version to
        # version, so that they get nodes without bodies.
        gcm="native" if rtx else request.gcm,
        roi_align=request.roi_align,
        functions=rtx,
        int8=int8,
    )


def _write_types(typed: PreparedGraphs, parts: dict[str, str]) -> None:
    """Write the types that values have where the graph says them, beside the graph that does not."""
    for name, model in (("detector", typed.detector), ("pose", typed.pose)):
        types = weak_typing.tensor_types(model)
        for value in [*model.graph.input, *model.graph.output]:  # the other graph's p2 is FP32
            if types.get(value.name) == onnx.TensorProto.FLOAT16:
                types[value.name] = int(onnx.TensorProto.FLOAT)
        Path(parts[name]).with_suffix(weak_typing.TYPES_SUFFIX).write_text(json.dumps(types))


def _load(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(str(path))
    except MemoryError:
        raise
    except Exception as error:  # protobuf's errors have no public base class
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise GcposeError(f"{path} cannot be read as ONNX ({text[:200]}); export the model again") from error
