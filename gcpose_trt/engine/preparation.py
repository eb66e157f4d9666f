"""From the two ONNX files of a model to the files that a builder takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx

from gcpose_trt.engine.request import BuildRequest, choose_people, choose_size
from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.prepare import prepare_bundle
from gcpose_trt.runtime.bundle import METADATA_KEY, BundlePaths, check_pair, read_record
from gcpose_trt.runtime.engine_record import file_sha256


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
    records = {"detector": _metadata(detector), "pose": _metadata(pose)}
    info = check_pair(
        read_record(records["detector"], "detector", detector), read_record(records["pose"], "pose", pose), paths
    )
    size, people = choose_size(request.size, info), choose_people(request.max_people, info)
    rtx = request.target == "tensorrt-rtx"
    prepared = prepare_bundle(
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
    )
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
    return {
        "size": list(size),
        "max_people": people,
        "model": json.loads(records["detector"][METADATA_KEY]),
        "weights_sha256": info.weights_sha256,
        "onnx_sha256": {"detector": file_sha256(detector), "pose": file_sha256(pose)},
        "parts": parts,
        "outside": list(outside),
        "notes": [str(note) for note in prepared.notes],
    }


def _metadata(path: Path) -> dict[str, str]:
    try:
        return {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    except MemoryError:
        raise
    except Exception as error:  # protobuf's errors have no public base class
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise GcposeError(f"{path} cannot be read as ONNX ({text[:200]}); export the model again") from error
