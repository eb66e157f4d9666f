"""What an exported file says of itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import onnx
import torch

from gcpose_trt import __version__
from gcpose_trt.runtime.bundle import METADATA_KEY
from gcpose_trt.runtime.info import FORMAT


def weights_digest(state: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and values of a state dict, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def write_record(
    model: onnx.ModelProto, graph: str, record: Mapping[str, Any], size: tuple[int, int] | None, opset: int
) -> None:
    """Set the metadata of an ONNX model in place.

    Args:
        model: one of the two graphs.
        graph: "detector" or "pose".
        record: the network's `metadata()`, with max_people and weights_sha256 as exported.
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
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(content)})
    model.producer_name = "gcpose-trt"
    model.producer_version = __version__
    model.graph.name = graph
