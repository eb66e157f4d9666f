"""Folders of stand-in engines, made of a bundle without the builder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx

from gcpose_trt.runtime.engine_record import EngineFile, EngineRecord, Gpu, PluginLibrary, system_name
from tests.support.tensorrt_standin.core import ELEMENT_TYPES
from tests.support.tensorrt_standin.engines import pack
from tests.support.tensorrt_standin.surfaces import VERSIONS

GPU = Gpu("Stand-in GPU (host memory)", "9.0")


def make_engines(
    folder: Path,
    detector: onnx.ModelProto,
    pose: onnx.ModelProto,
    *,
    generation: str = "10.3",
    buckets: tuple[int, ...] = (1, 2, 3),
    **changes: Any,
) -> Path:
    """Write detector.engine, pose.engine and engine.json.

    Args:
        folder: where to; made if missing.
        detector: with fixed shapes.
        pose: likewise, but for the number of people.
        generation: whose stand-in shall run them.
        buckets: one profile each.
        **changes: fields of the record to change.
    """
    folder.mkdir(parents=True, exist_ok=True)
    narrow = generation.startswith("8.")
    sides = {value.name: _shape(value) for value in [*detector.graph.input, *detector.graph.output]}
    batch, height, width, _ = sides["image"]
    people = sides["boxes"][1]
    p2 = [batch, sides["p2"][1], height // 4, width // 4]
    known = {"p2": p2, "scores": [batch, people], "boxes": [batch, people, 4], "count": [batch]}
    _write(folder / "detector.engine", detector, generation, known, [{}], narrow)
    profiles = [{"p2": [p2] * 3, "boxes": [[bucket, 4]] * 3, "batch_index": [[bucket]] * 3} for bucket in buckets]
    known = {"p2": p2, "boxes": [-1, 4], "batch_index": [-1], "keypoints": [-1, 17, 3]}
    _write(folder / "pose.engine", pose, generation, known, profiles, narrow)
    model = json.loads(next(item.value for item in detector.metadata_props if item.key == "gcpose"))
    record: dict[str, Any] = {
        "target": "tensorrt",
        "created": "2026-11-22T12:00:00+00:00",
        "gcpose_trt": "0.1.0",
        "tensorrt": VERSIONS[generation],
        "cuda": "13.0",
        "driver": "13.0",
        "gpu": GPU,
        "os": system_name(),
        "precision": "fp32",
        "size": (height, width),
        "batch": batch,
        "max_people": buckets[-1],
        "buckets": buckets,
        "gcm": "native",
        "roi_align": "native",
        "model": model,
        "onnx_sha256": {"detector": "0" * 64, "pose": "0" * 64},
        "weights_sha256": model["weights_sha256"],
        "plugin_library": None,
        "files": {graph: EngineFile.of(folder / f"{graph}.engine") for graph in ("detector", "pose")},
        "inspection": {},
        "build_seconds": 1.0,
        "command": "gcpose-trt build-engine tiny --output engines",
        **changes,
    }
    if isinstance(record["plugin_library"], Path):
        path = record["plugin_library"]
        record["plugin_library"] = PluginLibrary(str(path), EngineFile.of(path).sha256, "v3")
    EngineRecord(**record).save(folder)
    return folder


def from_bundle(folder: Path, bundle: Path, **options: Any) -> Path:
    """Write the engines of the two files of a bundle whose detector has fixed shapes."""
    models = [onnx.load(bundle / f"{graph}.onnx") for graph in ("detector", "pose")]
    return make_engines(folder, *models, **options)


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    sides = value.type.tensor_type.shape.dim
    return [side.dim_value if side.HasField("dim_value") else -1 for side in sides]


def _write(
    path: Path,
    model: onnx.ModelProto,
    generation: str,
    shapes: dict[str, list[int]],
    profiles: list[dict[str, Any]],
    narrow: bool,
) -> None:
    """Pack a graph; `narrow` engines have int32 where the graph has int64."""
    io = []
    for values, is_input in ((model.graph.input, True), (model.graph.output, False)):
        for value in values:
            kind = ELEMENT_TYPES[value.type.tensor_type.elem_type]
            kind = "INT32" if narrow and kind == "INT64" else kind
            shape = shapes.get(value.name, _shape(value))
            io.append({"name": value.name, "kind": kind, "shape": shape, "input": is_input})
    header = {"version": VERSIONS[generation], "io": io, "profiles": profiles, "layers": [], "detailed": False}
    path.write_bytes(pack(header, model.SerializeToString()))
