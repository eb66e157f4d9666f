"""The two halves of the network as ONNX graphs, by PyTorch's exporter."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim

from gcpose_trt.graph.cleanup import clean, name_dimensions
from gcpose_trt.graph.functions import attach_functions
from gcpose_trt.model import GCPoseRCNN

# Values that PyTorch must not take for constants: it specialises on 0 and 1, and takes equal sizes for the same one.
_SAMPLE_BATCH = 2
_SAMPLE_PEOPLE = 5
_SAMPLE_SIDES = (4, 6)  # of the input, in units of the divisor
_MOST = 4096
_PLAIN_NAMES = {
    "image": {0: "batch", 1: "height", 2: "width"},
    "image_size": {0: "batch"},
    "p2": {0: "batch", 2: "p2_height", 3: "p2_width"},
    "scores": {0: "batch"},
    "count": {0: "batch"},
    "batch_index": {0: "people"},
    "keypoints": {0: "people"},
}


class DetectorGraph(nn.Module):
    """Letterboxed uint8 image to P2, boxes, scores, count."""

    def __init__(self, model: GCPoseRCNN) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor, image_size: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        found = self.model.detect(image, image_size)
        return found.p2, found.boxes, found.scores, found.count


class PoseGraph(nn.Module):
    """P2 and boxes to keypoints."""

    def __init__(self, model: GCPoseRCNN) -> None:
        super().__init__()
        self.model = model

    def forward(self, p2: Tensor, boxes: Tensor, batch_index: Tensor) -> Tensor:
        return self.model.pose(p2, boxes, batch_index)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the exporter says of packages that nothing here uses (torchvision) and of dimension names."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _trace(
    graph: nn.Module, inputs: dict[str, Tensor], outputs: list[str], dynamic: tuple[dict[int, Any], ...], opset: int
) -> onnx.ModelProto:
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph.eval(),
            tuple(inputs.values()),
            dynamo=True,
            verbose=False,
            opset_version=opset,
            dynamic_shapes=dynamic,
            input_names=list(inputs),
            output_names=outputs,
        )
    assert program is not None  # only the exporter of old returns None
    model = program.model_proto
    # Not before: the exporter's opset conversion would inline the functions and lose the nodes that plugins replace.
    attach_functions(model)
    clean(model)
    return model


def trace_detector(model: GCPoseRCNN, size: tuple[int, int] | None, opset: int) -> onnx.ModelProto:
    """Return the detector graph, batch dynamic, and height and width too if `size` is None."""
    divisor = model.config.divisor
    height, width = size or (divisor * _SAMPLE_SIDES[0], divisor * _SAMPLE_SIDES[1])
    axes: dict[int, Any] = {0: Dim("batch", min=1, max=_MOST)}
    inputs = {
        "image": torch.zeros(_SAMPLE_BATCH, height, width, 3, dtype=torch.uint8),
        "image_size": torch.tensor([[height, width]] * _SAMPLE_BATCH),
    }
    dynamic: tuple[dict[int, Any], ...] = (dict(axes), dict(axes))
    if size is None:
        dynamic[0][1] = divisor * Dim("rows", min=1, max=_MOST)
        dynamic[0][2] = divisor * Dim("columns", min=1, max=_MOST)
    out = _trace(DetectorGraph(model), inputs, ["p2", "boxes", "scores", "count"], dynamic, opset)
    name_dimensions(out, _PLAIN_NAMES | {"boxes": {0: "batch"}})
    return out


def trace_pose(model: GCPoseRCNN, p2_shape: tuple[int, int, int], fixed: bool, opset: int) -> onnx.ModelProto:
    """Return the pose graph, batch and number of people dynamic.

    Args:
        model: the network.
        p2_shape: channels, rows and columns of the detector's first output.
        fixed: whether rows and columns are always these.
        opset: of the graph.
    """
    inputs = {
        "p2": torch.zeros(_SAMPLE_BATCH, *p2_shape),
        "boxes": torch.tensor([[8.0, 8.0, 40.0, 72.0]] * _SAMPLE_PEOPLE),
        "batch_index": torch.arange(_SAMPLE_PEOPLE) % _SAMPLE_BATCH,
    }
    people = Dim("people", min=1, max=_MOST)
    map_axes: dict[int, Any] = {0: Dim("batch", min=1, max=_MOST)}
    if not fixed:
        map_axes |= {2: Dim("p2_height", min=1, max=8 * _MOST), 3: Dim("p2_width", min=1, max=8 * _MOST)}
    out = _trace(PoseGraph(model), inputs, ["keypoints"], (map_axes, {0: people}, {0: people}), opset)
    name_dimensions(out, _PLAIN_NAMES | {"boxes": {0: "people"}})
    return out
