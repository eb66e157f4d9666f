"""Weights out of an exported model: the two ONNX files hold them all, so nothing else need be kept or shipped.

Initializers keep the parameters' names. What constant folding took apart lies beside them in the metadata, written by
the exporter. The hash over all weights, which each file carries, tells whether the two add up to what was exported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gcpose_trt.errors import MissingDependencyError
from gcpose_trt.model.checkpoint.report import CheckpointError
from gcpose_trt.runtime import bundle

FOLDED_KEY = "gcpose.folded"  # metadata: weights by name, as nested lists with their types
PREFIX = "model."  # the traced module holds the network under this name


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and values of a state dict, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def fold_weights(state: Mapping[str, Tensor], kept: set[str]) -> str:
    """Return the metadata text with the weights of `state` that are not among the initializers `kept`."""
    lost = {name: tensor for name, tensor in state.items() if PREFIX + name not in kept}
    text = {name: [str(tensor.dtype).removeprefix("torch."), tensor.tolist()] for name, tensor in lost.items()}
    return json.dumps(text)


def is_exported(path: Path) -> bool:
    """Tell whether `path` names an exported model: a folder with the two files, or one of them."""
    return path.suffix == ".onnx" or (path / "detector.onnx").exists() or (path / "pose.onnx").exists()


def read_exported(path: Path) -> dict[str, Any]:
    """Return {"model": state dict, "config": name} of the model at `path`.

    Raises:
        GcposeError: a file is missing, corrupt, not one of ours, or the two do not belong together.
        MissingDependencyError: the package onnx is not installed.
    """
    try:
        import onnx
        from onnx.numpy_helper import to_array
    except ImportError as error:
        raise MissingDependencyError("onnx", "export", "reading the weights of an ONNX model") from error
    from gcpose_trt.model import build_model  # which imports this package

    paths = bundle.find(path)
    state: dict[str, Tensor] = {}
    infos = []
    for graph, file in (("detector", paths.detector), ("pose", paths.pose)):
        try:
            model = onnx.load(file)
        except Exception as error:  # protobuf's errors have no base class of their own
            raise CheckpointError(f"{file} is not an ONNX file or is damaged; export the model again") from error
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        infos.append(bundle.read_record(metadata, graph, file))
        for name, (kind, values) in json.loads(metadata.get(FOLDED_KEY, "{}")).items():
            state[name] = torch.tensor(values, dtype=getattr(torch, kind))
        for tensor in model.graph.initializer:
            if tensor.name.startswith(PREFIX):
                state[tensor.name.removeprefix(PREFIX)] = torch.from_numpy(to_array(tensor).copy())
    info = bundle.check_pair(infos[0], infos[1], paths)
    with torch.device("meta"):  # only the names are wanted
        own = build_model(info.model).state_dict()
    state = {name: tensor for name, tensor in state.items() if name in own}  # the rest is anchors and pixel means
    if weights_digest(state) != info.weights_sha256:
        raise CheckpointError(
            f"{paths.detector.parent} does not hold the weights that it was exported from; export the model again from "
            "its checkpoint"
        )
    return {"model": state, "config": info.model}
