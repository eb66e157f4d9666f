"""What an exported file says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import onnx

from gcpose_trt import __version__
from gcpose_trt.model.checkpoint.exported import FOLDED_KEY
from gcpose_trt.runtime.bundle import METADATA_KEY
from gcpose_trt.runtime.info import FORMAT


def write_record(
    model: onnx.ModelProto,
    graph: str,
    record: Mapping[str, Any],
    folded: str,
    size: tuple[int, int] | None,
    opset: int,
) -> None:
    """Set the metadata of an ONNX model in place.

    Args:
        model: one of the two graphs.
        graph: "detector" or "pose".
        record: the network's `metadata()`, with max_people and weights_sha256 as exported.
        folded: the weights that are not among the initializers, see `gcpose_trt.model.checkpoint.exported`.
        size: (H, W) of the input, None if dynamic.
        opset: of the graph.
    """
    content = {
        "format": FORMAT,
        "graph": graph,
        **record,
        "size": list(size) if size else None,
        "opset": opset,
        "gcpose_trt": __version__,
    }
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(content), FOLDED_KEY: folded})
    model.producer_name = "gcpose-trt"
    model.producer_version = __version__
    model.graph.name = graph
