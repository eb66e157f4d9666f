"""Quantizing both graphs of a model with one calibration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import onnx

from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.qdq import QdqReport, blocks_of, insert
from gcpose_trt.quantization.record import CalibrationRecord

METHOD = "percentile:99.99"


@dataclass(frozen=True)
class Int8Options:
    """How to quantize.

    Attributes:
        calibration: ranges, made for the same weights and graphs.
        method: which range of a value to take, see `gcpose_trt.graph.qdq.insert`.
        exclude: patterns of layers or blocks to leave in floating point, beside those always left.
        blocks: quantize these blocks only; None: all.
        target: "tensorrt" or "cpu", see `gcpose_trt.graph.qdq.insert`.
        half: FP16 for what is not INT8, written into the graph; False leaves that FP32, for builders that choose.
    """

    calibration: CalibrationRecord
    method: str = METHOD
    exclude: tuple[str, ...] = ()
    blocks: Collection[str] | None = None
    half: bool = True
    target: str = "tensorrt"


def quantize(models: Mapping[str, onnx.ModelProto], options: Int8Options) -> dict[str, QdqReport]:
    """Quantize both float graphs in place.

    Args:
        models: "detector" and "pose", as `prepare_bundle` has them in FP32, with functions.
        options: see there.

    Returns:
        A report by graph.

    Raises:
        GcposeError: the calibration is for other weights or another graph; a pattern fits nothing; the model is
            quantized already; a value has no range.
    """
    if any(node.op_type == "QuantizeLinear" for model in models.values() for node in model.graph.node):
        raise GcposeError("the model is quantized already; leave the calibration out, or give the float model")
    options.calibration.check(models["detector"], models["pose"])
    names = {graph: _names(model, graph) for graph, model in models.items()}
    for pattern in [*options.exclude, *(options.blocks or ())]:
        if not any(_fits(pattern, known) for known in names.values()):
            raise GcposeError(
                f"no layer or block of the model is called {pattern!r}; choose from "
                f"{', '.join(sorted(name for known in names.values() for name in known))[:300]}"
            )
    reports = {}
    for graph, model in models.items():
        blocks = None
        if options.blocks is not None:
            blocks = [name for name in options.blocks if _fits(name, names[graph])]
            if not blocks:
                continue
        reports[graph] = insert(
            model,
            graph,
            options.calibration,
            target=options.target,
            method=options.method,
            # A pattern for one of the graphs fits nothing in the other, which `insert` would not take.
            exclude=[pattern for pattern in options.exclude if _fits(pattern, names[graph])],
            blocks=blocks,
        )
    return reports


def _names(model: onnx.ModelProto, graph: str) -> list[str]:
    blocks = blocks_of(model, graph)
    return [*blocks, *(layer for layers in blocks.values() for layer in layers if layer not in blocks)]


def _fits(pattern: str, names: Collection[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)
