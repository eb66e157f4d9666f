"""A tiny model of the same inputs, outputs and metadata as a real one, whose answers can be foreseen.

It finds one person a colour channel: the bounding box of the pixels above 128 in blue (score 0.9), green (0.6) and red
(0.2). A dark image has no people. The joints are fixed fractions of the box, their score the brightest cell of the
image's feature map, so that a wrong `batch_index` shows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SCORES = (0.9, 0.6, 0.2)
# Fractions (x, y) of the box of a person seen from the front: COCO's 17 joints.
TEMPLATE = np.array(
    [
        *[(0.5, 0.1), (0.55, 0.07), (0.45, 0.07), (0.62, 0.09), (0.38, 0.09)],
        *[(0.75, 0.25), (0.25, 0.25), (0.9, 0.4), (0.1, 0.4), (0.95, 0.55), (0.05, 0.55)],
        *[(0.65, 0.55), (0.35, 0.55), (0.65, 0.75), (0.35, 0.75), (0.65, 0.95), (0.35, 0.95)],
    ],
    np.float32,
)


def metadata(graph: str, **changes: Any) -> dict[str, Any]:
    """Return the record that a model of ours carries, with some fields changed."""
    record = {
        "format": 1,
        "graph": graph,
        "model": "mobile",
        "weights_sha256": "0" * 64,
        "size": None,
        "resize": {"short": None, "long": 64},
        "divisor": 32,
        "max_people": 3,
        "keypoints": 17,
        "min_score": 0.3,
        "keypoint_threshold": 0.05,
        "rank": "box",
        "opset": 18,
        "gcpose_trt": "0.1.0",
    }
    return {**record, **changes}


def _constants(**arrays: np.ndarray) -> list[onnx.TensorProto]:
    return [numpy_helper.from_array(array, name) for name, array in arrays.items()]


def _value(name: str, kind: int, shape: list[Any]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _extent(axis: str, other: int, length_index: int, limit_index: int) -> list[onnx.NodeProto]:
    """Return nodes that find the first and last + 1 lit row or column of `lit` (B, H, W, 3) as (B, 3) floats."""
    n = helper.make_node
    return [
        n("ReduceMax", ["lit", f"axis{other}"], [f"{axis}_any"], keepdims=0),  # (B, length, 3)
        n("Gather", ["shape", f"index{length_index}"], [f"{axis}_length"]),
        n("Range", ["zero", f"{axis}_length", "one"], [f"{axis}_range"]),
        n("Unsqueeze", [f"{axis}_range", "axis1"], [f"{axis}_column"]),  # (length, 1)
        n("Cast", [f"{axis}_column"], [f"{axis}_place"], to=TensorProto.FLOAT),
        n("Gather", ["image_size", f"index{limit_index}"], [f"{axis}_limit"], axis=1),
        n("Unsqueeze", [f"{axis}_limit", "axes12"], [f"{axis}_limit3"]),
        n("Less", [f"{axis}_column", f"{axis}_limit3"], [f"{axis}_inside"]),
        n("Cast", [f"{axis}_any"], [f"{axis}_lit"], to=TensorProto.BOOL),
        n("And", [f"{axis}_lit", f"{axis}_inside"], [f"{axis}_on"]),
        n("Where", [f"{axis}_on", f"{axis}_place", "huge"], [f"{axis}_from"]),
        n("ReduceMin", [f"{axis}_from", "axis1"], [f"{axis}1"], keepdims=0),
        n("Add", [f"{axis}_place", "onef"], [f"{axis}_next"]),
        n("Where", [f"{axis}_on", f"{axis}_next", "zerof"], [f"{axis}_to"]),
        n("ReduceMax", [f"{axis}_to", "axis1"], [f"{axis}2"], keepdims=0),
    ]


def _detector(batch: Any, height: Any, width: Any) -> onnx.GraphProto:
    n = helper.make_node
    nodes = [
        n("Cast", ["image"], ["bright"], to=TensorProto.FLOAT),
        n("Transpose", ["bright"], ["planes"], perm=[0, 3, 1, 2]),
        n("ReduceMax", ["planes", "axis1"], ["grey"], keepdims=1),
        n("AveragePool", ["grey"], ["p2"], kernel_shape=[4, 4], strides=[4, 4]),
        n("Greater", ["bright", "threshold"], ["lit_bool"]),
        n("Cast", ["lit_bool"], ["lit"], to=TensorProto.FLOAT),
        n("Shape", ["image"], ["shape"]),
        *_extent("y", 2, 1, 0),
        *_extent("x", 1, 2, 1),
        n("Greater", ["y2", "zerof"], ["found_y"]),
        n("Greater", ["x2", "zerof"], ["found_x"]),
        n("And", ["found_y", "found_x"], ["found"]),
        n("Where", ["found", "score_table", "zerof"], ["unsorted"]),
        n("TopK", ["unsorted", "people"], ["scores", "order"]),
        *[n("GatherElements", [side, "order"], [f"{side}_sorted"], axis=1) for side in ("x1", "y1", "x2", "y2")],
        *[n("Unsqueeze", [f"{side}_sorted", "axis2"], [f"{side}_end"]) for side in ("x1", "y1", "x2", "y2")],
        n("Concat", ["x1_end", "y1_end", "x2_end", "y2_end"], ["boxes"], axis=2),
        n("Cast", ["found"], ["found_int"], to=TensorProto.INT64),
        n("ReduceSum", ["found_int", "axis1"], ["count"], keepdims=0),
    ]
    constants = _constants(
        axis1=np.array([1]),
        axis2=np.array([2]),
        axes12=np.array([1, 2]),
        index0=np.array(0),
        index1=np.array(1),
        index2=np.array(2),
        zero=np.array(0),
        one=np.array(1),
        people=np.array([3]),
        huge=np.array(1e9, np.float32),
        zerof=np.array(0, np.float32),
        onef=np.array(1, np.float32),
        threshold=np.array(128, np.float32),
        score_table=np.array([SCORES], np.float32),
    )
    inputs = [
        _value("image", TensorProto.UINT8, [batch, height, width, 3]),
        _value("image_size", TensorProto.INT64, [batch, 2]),
    ]
    outputs = [
        _value("p2", TensorProto.FLOAT, [batch, 1, None, None]),
        _value("boxes", TensorProto.FLOAT, [batch, 3, 4]),
        _value("scores", TensorProto.FLOAT, [batch, 3]),
        _value("count", TensorProto.INT64, [batch]),
    ]
    return helper.make_graph(nodes, "detector", inputs, outputs, constants)


def _pose() -> onnx.GraphProto:
    n = helper.make_node
    nodes = [
        n("Slice", ["boxes", "start0", "start2", "axis1"], ["corner"]),
        n("Slice", ["boxes", "start2", "start4", "axis1"], ["opposite"]),
        n("Sub", ["opposite", "corner"], ["extent"]),
        n("Unsqueeze", ["extent", "axis1"], ["extent3"]),
        n("Unsqueeze", ["corner", "axis1"], ["corner3"]),
        n("Mul", ["extent3", "template"], ["offset"]),
        n("Add", ["corner3", "offset"], ["xy"]),  # (N, 17, 2)
        n("Gather", ["p2", "batch_index"], ["cells"]),
        n("ReduceMax", ["cells", "axes123"], ["brightest"], keepdims=0),  # (N,)
        n("Div", ["brightest", "white"], ["score"]),
        n("Unsqueeze", ["score", "axes12"], ["score3"]),
        n("Mul", ["score3", "ones"], ["score17"]),
        n("Concat", ["xy", "score17"], ["keypoints"], axis=2),
    ]
    constants = _constants(
        start0=np.array([0]),
        start2=np.array([2]),
        start4=np.array([4]),
        axis1=np.array([1]),
        axes12=np.array([1, 2]),
        axes123=np.array([1, 2, 3]),
        white=np.array(255, np.float32),
        template=TEMPLATE[None],
        ones=np.ones((1, 17, 1), np.float32),
    )
    inputs = [
        _value("p2", TensorProto.FLOAT, ["B", 1, None, None]),
        _value("boxes", TensorProto.FLOAT, ["N", 4]),
        _value("batch_index", TensorProto.INT64, ["N"]),
    ]
    outputs = [_value("keypoints", TensorProto.FLOAT, ["N", 17, 3])]
    return helper.make_graph(nodes, "pose", inputs, outputs, constants)


def save(graph: onnx.GraphProto, path: Path, record: dict[str, Any] | None) -> None:
    """Write a graph with its record; None leaves the record out, as a file of somebody else's."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    if record is not None:
        helper.set_model_props(model, {"gcpose": json.dumps(record)})
    onnx.checker.check_model(model)
    onnx.save(model, path)


def make_bundle(folder: Path, *, batch: int | None = None, **changes: Any) -> Path:
    """Write `detector.onnx` and `pose.onnx` into `folder` and return it.

    Args:
        folder: where to; made if missing.
        batch: the only batch size, None for any.
        **changes: fields of the record to change; `size` [H, W] also fixes the detector's input.
    """
    folder.mkdir(parents=True, exist_ok=True)
    height, width = changes.get("size") or ("H", "W")
    detector = _detector("B" if batch is None else batch, height, width)
    save(detector, folder / "detector.onnx", metadata("detector", **changes))
    save(_pose(), folder / "pose.onnx", metadata("pose", **changes))
    return folder
