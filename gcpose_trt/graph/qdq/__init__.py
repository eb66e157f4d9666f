"""Q/DQ insertion: from a float graph and calibrated ranges to one that runs in INT8."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import onnx

from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.qdq.affine import absorb_affine
from gcpose_trt.graph.qdq.insertion import Writer, weight_axis
from gcpose_trt.graph.qdq.pixels import read_pixels
from gcpose_trt.graph.qdq.placement import TARGETS, Plan, place
from gcpose_trt.graph.qdq.rules import EXCLUDED, blocks_of, chosen_layers
from gcpose_trt.graph.qdq.view import View
from gcpose_trt.runtime.bundle import INT8_KEY

__all__ = [
    "EXCLUDED",
    "TARGETS",
    "QdqReport",
    "Ranges",
    "blocks_of",
    "insert",
    "is_for_cpu",
    "quantizable_tensors",
    "quantizable_weights",
]


class Ranges(Protocol):
    """What a calibration record knows of a float value."""

    def amax(self, name: str, method: str, graph: str) -> float:
        """Return the symmetric threshold of a value of a graph."""
        ...

    def range(self, name: str, method: str, graph: str) -> tuple[float, float]:
        """Return the (lowest, highest) value of it to tell apart."""
        ...


@dataclass(frozen=True)
class QdqReport:
    """What was inserted into one graph.

    Attributes:
        graph: "detector" or "pose".
        target: "tensorrt" or "cpu".
        method: how ranges were chosen.
        layers: names of the weighted layers whose weights are INT8 now.
        excluded: names of those left in floating point.
        tensors: values with a Q/DQ pair.
        absorbed: activations that the quantization itself does now.
        folded: products and sums moved into convolutions before.
    """

    graph: str
    target: str
    method: str
    layers: tuple[str, ...]
    excluded: tuple[str, ...]
    tensors: tuple[str, ...]
    absorbed: int
    folded: int

    def __str__(self) -> str:
        return (
            f"{len(self.layers)} layers in INT8 for {self.target} ({self.method}), {len(self.excluded)} left out, "
            f"{len(self.tensors)} Q/DQ pairs, {self.absorbed} activations absorbed"
        )


def quantizable_tensors(
    model: onnx.ModelProto, graph: str = "detector", exclude: Sequence[str] = (), *, defaults: bool = True
) -> list[str]:
    """Return the activations that either target needs a range for, in the order of the graph.

    Args:
        model: a float graph; it is left alone.
        graph: "detector" or "pose".
        exclude: patterns of layers or blocks to leave out.
        defaults: leave out `EXCLUDED` too.

    Raises:
        GcposeError: a pattern fits nothing.
    """
    del graph
    view = _folded_view(model)
    weighted, _ = chosen_layers(view, exclude, None, defaults)
    plans = [place(view, weighted, target) for target in TARGETS]
    wanted = {plan.source(name) for plan in plans for name in plan.values}
    order = [value.name for value in view.model.graph.input]
    order += [name for node in view.model.graph.node for name in node.output]
    return [name for name in order if name in wanted]


def quantizable_weights(
    model: onnx.ModelProto, graph: str = "detector", exclude: Sequence[str] = (), *, defaults: bool = True
) -> dict[str, int]:
    """Return the names of the weights that are quantized, and the axis of their channels; see `quantizable_tensors`."""
    del graph
    view = _folded_view(model)
    weighted, _ = chosen_layers(view, exclude, None, defaults)
    return {view.node(index).input[1]: weight_axis(view.node(index)) for index in sorted(weighted)}


def insert(
    model: onnx.ModelProto,
    graph: str,
    calibration: Ranges,
    *,
    target: str = "tensorrt",
    method: str = "percentile:99.99",
    exclude: Sequence[str] = (),
    blocks: Collection[str] | None = None,
    defaults: bool = True,
) -> QdqReport:
    """Quantize a float graph in place: Q/DQ pairs at activations, INT8 weights with one scale a channel.

    Args:
        model: detector or pose graph, as `prepare_bundle` makes it in FP32.
        graph: "detector" or "pose".
        calibration: ranges of its values.
        target: "tensorrt" (signed, symmetric, zero points 0, biases float) or "cpu" (unsigned activations, biases
            INT32, activations absorbed by the ranges). See `gcpose_trt.graph.qdq.placement`.
        method: which range of a value to take: "max", "percentile:99.99", "percentile:99.999", "entropy" or "mse".
        exclude: patterns (`fnmatch`) of layers or blocks to leave in floating point.
        blocks: quantize only these layers or blocks; None: all.
        defaults: leave out `EXCLUDED` too.

    Returns:
        What was done; its options are recorded in the model's metadata under "gcpose.int8".

    Raises:
        GcposeError: an unknown target or name, a graph that is quantized already, or a value without a range.
    """
    if target not in TARGETS:
        raise GcposeError(f"no target is called {target!r}; choose one of {', '.join(TARGETS)}")
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise GcposeError("the graph is quantized already; give the float model")
    folded = absorb_affine(model)
    view = View(model)
    weighted, left = chosen_layers(view, exclude, blocks, defaults)
    if target == "cpu" and read_pixels(model, weighted):
        view = View(model)
        weighted, left = chosen_layers(view, exclude, blocks, defaults)
    plan = place(view, weighted, target)
    layers = tuple(sorted({view.label(index) for index in weighted}))
    report = QdqReport(graph, target, method, layers, left, tuple(plan.values), len(plan.absorbed), folded)
    Writer(view, plan, _ranges(view, plan, calibration, report), target).write()
    _record(model, report)
    return report


def is_for_cpu(model: onnx.ModelProto) -> bool:
    """Return whether a graph was quantized for the target "cpu": TensorRT does not take its unsigned activations."""
    text = next((entry.value for entry in model.metadata_props if entry.key == INT8_KEY), "{}")
    return bool(json.loads(text).get("target") == "cpu")


def _folded_view(model: onnx.ModelProto) -> View:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    absorb_affine(copy)
    return View(copy)


def _ranges(view: View, plan: Plan, calibration: Ranges, report: QdqReport) -> dict[str, tuple[float, float]]:
    ranges = {}
    for name in dict.fromkeys(plan.source(value) for value in plan.values):
        if view.dequantizer(name) is not None:
            continue
        if report.target == "tensorrt":
            most = calibration.amax(name, report.method, report.graph)
            ranges[name] = (-most, most)
        else:
            ranges[name] = calibration.range(name, report.method, report.graph)
    return ranges


def _record(model: onnx.ModelProto, report: QdqReport) -> None:
    """Write the options into the metadata, so that a file tells how it was made."""
    properties = {entry.key: entry.value for entry in model.metadata_props}
    kept = {key: value for key, value in asdict(report).items() if key in ("graph", "target", "method", "excluded")}
    onnx.helper.set_model_props(model, {**properties, INT8_KEY: json.dumps(kept)})
