"""From a model as exported to the two graphs that a builder or a runtime takes: the one entry for all of them."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.functions import PLUGINLESS, attach_functions, inline_native, strip_functions
from gcpose_trt.graph.int8 import Int8Options, quantize
from gcpose_trt.graph.opset import lower_opset
from gcpose_trt.graph.precision import Float16Report, to_float16
from gcpose_trt.graph.qdq import QdqReport
from gcpose_trt.graph.scales import round_scales
from gcpose_trt.graph.shapes import fix_shapes, fold, input_dimensions
from gcpose_trt.graph.tensors import infer
from gcpose_trt.runtime import bundle
from gcpose_trt.runtime.info import ModelInfo

PRECISIONS = ("fp32", "fp16", "int8")
WAYS = ("plugin", "native")
PEOPLE = "people"

Models = tuple[onnx.ModelProto, onnx.ModelProto]
Source = str | os.PathLike[str] | bundle.BundlePaths | Models


@dataclass(frozen=True)
class PreparedGraphs:
    """The two graphs, ready for a parser.

    Attributes:
        detector: image, image_size to p2, boxes, scores, count.
        pose: p2, boxes, batch_index to keypoints; the number of people is the dimension "people".
        info: the model's record, with the size and the number of people asked for.
        notes: what was done, a line each.
        float16: one report a graph ("detector", "pose"), empty unless cast to FP16.
        int8: one report a graph, empty unless quantized here.
    """

    detector: onnx.ModelProto
    pose: onnx.ModelProto
    info: ModelInfo
    notes: tuple[str, ...]
    float16: dict[str, Float16Report]
    int8: dict[str, QdqReport] = field(default_factory=dict)


def prepare_bundle(
    source: Source,
    *,
    size: tuple[int, int] | None = None,
    batch: int | None = None,
    max_people: int | None = None,
    precision: str = "fp32",
    gcm: str = "plugin",
    roi_align: str = "plugin",
    functions: bool = True,
    int8: Int8Options | None = None,
) -> PreparedGraphs:
    """Make both graphs of a model ready.

    With `size` and `batch` the detector has no dynamic dimension left and the pose graph one, "people".

    Args:
        source: what `gcpose_trt.runtime.bundle.find` takes, its result, or both models; none is changed.
        size: (H, W) of the input; None leaves both dynamic.
        batch: images an inference; None leaves it dynamic.
        max_people: rows of the detector's boxes and scores; None keeps the model's number.
        precision: "fp32" (as exported), "fp16" (see `to_float16`), or "int8": quantized for TensorRT as `int8` says,
            the rest as in "fp16". Without `int8` the model must be quantized already and is taken as it is.
        gcm: attention as "plugin" (a `gcpose` node) or "native" (standard ONNX).
        roi_align: the same for pooling.
        functions: give `gcpose` nodes their current bodies; without, they are plain custom nodes and the graph is one
            of opset 17 (19 where the scales of INT8 are FP16).
        int8: how to quantize.

    Returns:
        See `PreparedGraphs`.

    Raises:
        GcposeError: not a model of ours, or an option that does not go with it.
    """
    _check_choices(precision, gcm, roi_align)
    models, info = _load(source)
    _check_sizes(info, size, batch, max_people)
    notes: list[str] = []
    if precision == "int8" and int8 is None and not any(is_quantized(model) for model in models.values()):
        raise GcposeError(
            "the model has no QuantizeLinear nodes, which an INT8 engine is built from; give a calibration to quantize "
            "it with, or build with --precision fp16"
        )
    for model in models.values():
        attach_functions(model)
    _fix(models, size, batch)
    if max_people is not None and max_people < info.max_people:
        _limit_people(models["detector"], max_people)
        fold(models["detector"])
    quantized = quantize(models, int8) if precision == "int8" and int8 is not None else {}
    half = precision == "fp16" or (int8 is not None and precision == "int8" and int8.half)
    for model in models.values() if quantized and half else ():
        round_scales(model)
        attach_functions(model)  # of its new opset
    reports = {name: to_float16(model) for name, model in models.items()} if half else {}
    notes += [f"{name}: {report}" for done in (quantized, reports) for name, report in done.items()]
    native = {op for op, way in (("GcmAttention", gcm), ("MultiLevelRoiAlign", roi_align)) if way == "native"}
    if not functions:
        native |= PLUGINLESS
    for name, model in models.items():
        count = inline_native(model, native) if native else 0
        if count:
            fold(model)
            notes.append(f"{name}: {count} nodes made native")
        _finish(model, functions)
    info = dataclasses.replace(info, size=size or info.size, max_people=max_people or info.max_people)
    for model in models.values():
        _update_record(model, info, precision)
    return PreparedGraphs(models["detector"], models["pose"], info, tuple(notes), reports, quantized)


def _check_choices(precision: str, gcm: str, roi_align: str) -> None:
    if precision not in PRECISIONS:
        raise GcposeError(f"no precision is called {precision!r}; choose one of {', '.join(PRECISIONS)}")
    for name, way in (("gcm", gcm), ("roi_align", roi_align)):
        if way not in WAYS:
            raise GcposeError(f"{name} cannot be {way!r}; choose plugin or native")


def _check_sizes(info: ModelInfo, size: tuple[int, int] | None, batch: int | None, max_people: int | None) -> None:
    if size is not None and (min(size) < info.divisor or size[0] % info.divisor or size[1] % info.divisor):
        raise GcposeError(f"size {size[0]}x{size[1]} is not made of multiples of {info.divisor}; choose such a size")
    if size is not None and info.size is not None and size != info.size:
        raise GcposeError(
            f"this model was exported for {info.size[0]}x{info.size[1]} only, not {size[0]}x{size[1]}; "
            f"choose that size, or export with gcpose-trt export {info.model} --size {size[0]}x{size[1]}"
        )
    if batch is not None and batch < 1:
        raise GcposeError(f"batch {batch} is out of range; choose a whole number of at least 1")
    if max_people is not None and not 1 <= max_people <= info.max_people:
        raise GcposeError(
            f"max_people {max_people} is out of range, the model finds at most {info.max_people}; choose fewer, or "
            f"export with gcpose-trt export {info.model} --max-people {max_people}"
        )


def _load(source: Source) -> tuple[dict[str, onnx.ModelProto], ModelInfo]:
    """Return copies of both models by name, and the record that they share."""
    if isinstance(source, tuple):
        paths = bundle.BundlePaths(Path("detector.onnx"), Path("pose.onnx"))
        models = {name: onnx.ModelProto() for name in bundle.GRAPHS}
        for copy, model in zip(models.values(), source, strict=True):
            copy.CopyFrom(model)
    else:
        paths = source if isinstance(source, bundle.BundlePaths) else bundle.find(source)
        models = {"detector": _read(paths.detector), "pose": _read(paths.pose)}
    records = {name: {entry.key: entry.value for entry in model.metadata_props} for name, model in models.items()}
    info = bundle.check_pair(
        bundle.read_record(records["detector"], "detector", paths.detector),
        bundle.read_record(records["pose"], "pose", paths.pose),
        paths,
    )
    return models, info


def _read(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(str(path))
    except MemoryError:
        raise
    except Exception as error:  # protobuf's errors have no public base class
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise GcposeError(f"{path} cannot be read as ONNX ({text[:200]}); export the model again") from error


def is_quantized(model: onnx.ModelProto) -> bool:
    """Return whether a graph holds QuantizeLinear nodes."""
    return any(node.op_type == "QuantizeLinear" for node in model.graph.node)


def _fix(models: dict[str, onnx.ModelProto], size: tuple[int, int] | None, batch: int | None) -> None:
    """Fix the inputs' shapes and fold."""
    detector, pose = models["detector"], models["pose"]
    height, width = size or (None, None)
    fix_shapes(detector, input_dimensions(detector, {"image": (batch, height, width, 3), "image_size": (batch, 2)}))
    fold(detector)
    p2 = infer(detector).get("p2")
    known = p2.shape if p2 is not None and p2.shape is not None else (None,) * 4
    shape = tuple(length if isinstance(length, int) else None for length in known)
    fix_shapes(pose, input_dimensions(pose, {"p2": shape}))
    _name_people(pose)
    fold(pose)


def _name_people(pose: onnx.ModelProto) -> None:
    """Call the number of people "people" wherever it shows."""
    boxes = next(value for value in pose.graph.input if value.name == "boxes")
    old = boxes.type.tensor_type.shape.dim[0].dim_param
    for value in [*pose.graph.input, *pose.graph.output]:
        dims = value.type.tensor_type.shape.dim
        own = value.name in ("boxes", "batch_index", "keypoints")
        if dims and own and not dims[0].HasField("dim_value") and dims[0].dim_param in ("", old):
            dims[0].dim_param = PEOPLE


def _limit_people(detector: onnx.ModelProto, most: int) -> None:
    """Cut boxes, scores and count to the best `most`; rows are in order of score."""
    graph = detector.graph
    ends = {"boxes": "Slice", "scores": "Slice", "count": "Min"}
    constants = {"people_start": [0], "people_end": [most], "people_axis": [1], "people_most": [most]}
    graph.initializer.extend(numpy_helper.from_array(np.array(v, np.int64), name) for name, v in constants.items())
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name in ends:
                    names[index] = f"all_{name}"
    for name, op_type in ends.items():
        more = ["people_most"] if op_type == "Min" else ["people_start", "people_end", "people_axis"]
        graph.node.append(helper.make_node(op_type, [f"all_{name}", *more], [name]))
    for value in graph.output:
        if ends.get(value.name) == "Slice":
            dim = value.type.tensor_type.shape.dim[1]
            dim.Clear()
            dim.dim_value = most


def _finish(model: onnx.ModelProto, functions: bool) -> None:
    """Bodies or none, and ONNX's own check of what came out."""
    if functions:
        attach_functions(model)
    else:
        strip_functions(model)
        lower_opset(model)
    try:
        onnx.checker.check_model(model, full_check=functions)
    except onnx.checker.ValidationError as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise GcposeError(f"the graph cannot be prepared ({text[:200]}); export the model again") from error


def _update_record(model: onnx.ModelProto, info: ModelInfo, precision: str) -> None:
    """Write what was asked for into the record that the backends read."""
    properties = {entry.key: entry.value for entry in model.metadata_props}
    record = json.loads(properties[bundle.METADATA_KEY])
    record |= {"size": list(info.size) if info.size else None, "max_people": info.max_people, "precision": precision}
    onnx.helper.set_model_props(model, {**properties, bundle.METADATA_KEY: json.dumps(record)})


def is_half(model: onnx.ModelProto, name: str) -> bool:
    """Return whether an input or output of a graph is FP16."""
    values = [*model.graph.input, *model.graph.output]
    return any(value.name == name and value.type.tensor_type.elem_type == TensorProto.FLOAT16 for value in values)
