"""What an engine is made of, as TensorRT's inspector tells it: layers, their types, the bytes that they move.

The inspector's words changed with the versions; all of "Half", "FP16" and "Row major linear FP16 format" are one type.
"""

from __future__ import annotations

import collections
import json
import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.tensorrt_api import TensorRT

# The narrowest type first: a layer is said to be of the narrowest that it reads, holds or writes.
PRECISIONS = ("FP4", "INT4", "FP8", "INT8", "BF16", "FP16", "FP32", "other")
_BYTES = {"FP4": 0.5, "INT4": 0.5, "FP8": 1, "INT8": 1, "BF16": 2, "FP16": 2, "FP32": 4, "other": 4}
_WORDS = (
    ("INT4", r"\bint4\b"),
    ("FP4", r"\bfp4"),
    ("FP8", r"\bfp8"),
    ("other", r"\buint8\b|\bint32\b|\bint64\b|\bbool"),
    ("INT8", r"\bint8\b"),
    ("BF16", r"\bb?float16\b.*brain|\bbf16\b|\bbfloat16\b|\bbfloat\b"),
    ("FP16", r"\bfp16\b|\bhalf\b|\bfloat16\b"),
    ("FP32", r"\bfp32\b|\bfloat\b|\bfloat32\b|\btf32\b"),
)
# A constant of fewer elements is a scale or a bound, not weights.
_WEIGHTS = 256


@dataclass(frozen=True)
class Layer:
    """One layer of an engine.

    Attributes:
        name: TensorRT's, made of the names of the ONNX nodes in it.
        kind: "CaskConvolution", "PluginV3", "kgen", ...
        precision: one of PRECISIONS, see there.
        weights: bytes of the weights that it holds.
        traffic: bytes of its inputs and outputs, 0 where their shapes are not known.
        shape: of its first output.
        weights_precision: the type of the weights, None where it has none or does not say.
    """

    name: str
    kind: str
    precision: str
    weights: int
    traffic: int
    shape: tuple[int, ...]
    weights_precision: str | None = None

    @property
    def size(self) -> int:
        """Bytes that it moves in one run."""
        return self.weights + self.traffic

    def to_dict(self) -> dict[str, Any]:
        """Return values that JSON takes."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Layer:
        """Reverse `to_dict`; raises KeyError, TypeError or ValueError."""
        return cls(**{**values, "shape": tuple(int(side) for side in values["shape"])})


def precision_of(text: str) -> str:
    """Return the one of PRECISIONS that words of the inspector, such as "Row major linear FP16 format", stand for."""
    lowered = text.lower()
    return next((name for name, pattern in _WORDS if re.search(pattern, lowered)), "other")


def from_engine(trt: TensorRT, engine: Any) -> list[Layer]:
    """Return the layers of a deserialised engine, of its last optimisation profile.

    Raises:
        GcposeError: the inspector gives nothing that can be read.
    """
    inspector = engine.create_engine_inspector()
    # Without a context in which the shapes are set, shapes and types of a dynamic engine read "N/A".
    context = _shaped_context(trt, engine)
    if context is not None:
        inspector.execution_context = context
    text = inspector.get_engine_information(trt.module.LayerInformationFormat.JSON)
    try:
        entries = json.loads(text)["Layers"]
    except (TypeError, ValueError, KeyError) as error:
        raise GcposeError(f"TensorRT's inspector gives no layers ({error}); run again with --verbose") from error
    # With ProfilingVerbosity below DETAILED, as in engines of other programs, entries are bare names.
    return _of_last_profile(
        [
            _from_json(entry) if isinstance(entry, dict) else Layer(str(entry), "", "other", 0, 0, ())
            for entry in entries
        ],
        int(engine.num_optimization_profiles),
    )


def _shaped_context(trt: TensorRT, engine: Any) -> Any:
    """Return a context with the last profile's shapes, without device memory; None where this cannot be had."""
    inputs = [tensor for tensor in trt.io(engine) if tensor.is_input and min(tensor.shape, default=0) < 0]
    if not inputs:
        return None
    last = engine.num_optimization_profiles - 1

    def shapes(name: str) -> Any:
        if hasattr(engine, "get_tensor_profile_shape"):
            return engine.get_tensor_profile_shape(name, last)
        return engine.get_profile_shape(last, name)

    strategies = getattr(trt.module, "ExecutionContextAllocationStrategy", None)
    try:
        if strategies is not None:
            context = engine.create_execution_context(strategies.USER_MANAGED)
        else:
            context = engine.create_execution_context_without_device_memory()
        context.set_optimization_profile_async(last, 0)
        for tensor in inputs:
            context.set_input_shape(tensor.name, shapes(tensor.name)[1])
    except (RuntimeError, TypeError, AttributeError):
        return None
    return context


def _from_json(entry: dict[str, Any]) -> Layer:
    reads = [_tensor(value) for value in entry.get("Inputs", [])]
    writes = [_tensor(value) for value in entry.get("Outputs", [])]
    constants = [_tensor(value) for value in entry.get("Constants", []) if isinstance(value, dict)]
    held = [_weights(entry[key]) for key in ("Weights", "Bias") if isinstance(entry.get(key), dict)]
    held += [(kind, count) for kind, count, _ in constants]
    return _layer(str(entry.get("Name", "")), str(entry.get("LayerType", "")), reads, writes, held)


def _tensor(value: dict[str, Any]) -> tuple[str, int, tuple[int, ...]]:
    """(precision, elements, shape) of an input, output or constant."""
    text = str(value.get("Format/Datatype") or value.get("Datatype") or value.get("Format") or "")
    shape = tuple(int(side) for side in value.get("Dimensions", []) if isinstance(side, (int, float)))
    return precision_of(text), max(0, math.prod(shape)) if min(shape, default=0) >= 0 else 0, shape


def _weights(value: dict[str, Any]) -> tuple[str, int]:
    return precision_of(str(value.get("Type", ""))), int(value.get("Count", 0))


def _layer(
    name: str,
    kind: str,
    reads: list[tuple[str, int, tuple[int, ...]]],
    writes: list[tuple[str, int, tuple[int, ...]]],
    held: list[tuple[str, int]],
) -> Layer:
    heavy = [(precision, count) for precision, count in held if count >= _WEIGHTS]
    types = [precision for precision, _, _ in reads + writes] + [precision for precision, _ in heavy]
    largest = max(heavy, key=lambda item: item[1], default=None)
    return Layer(
        name,
        kind,
        min(types, key=PRECISIONS.index, default="other"),
        int(sum(count * _BYTES[precision] for precision, count in held)),
        int(sum(count * _BYTES[precision] for precision, count, _ in reads + writes)),
        writes[0][2] if writes else (),
        largest[0] if largest else None,
    )


def from_text(text: str, profiles: int = 1) -> list[Layer]:
    """Return the layers of the builder's log, one a line: "Name: ..., LayerType: ..., Inputs: [ {...} ], ...".

    Args:
        text: the log's message.
        profiles: optimisation profiles of the engine; the layers of the last are returned.
    """
    layers = []
    for line in text.splitlines():
        match = re.match(r"Name: (.*?), LayerType: (.*?), Inputs: (.*)$", line)
        if match is None:
            continue
        name, kind, rest = match.groups()
        inputs, _, rest = rest.partition("Constants: [")
        constants, _, outputs = rest.partition("Outputs: [")
        held = [(precision, count) for precision, count, _ in _tensors(constants)]
        layers.append(_layer(name, kind, _tensors(inputs), _tensors(outputs.partition("], TacticName")[0]), held))
    return _of_last_profile(layers, profiles)


def _of_last_profile(layers: list[Layer], profiles: int) -> list[Layer]:
    """Leave out the copies of the layers for other profiles than the last, which is that of most people.

    Names end in "[profile 2]", of the second profile on. Layers that TensorRT compiled together end in "_myl2_7", the
    seventh of the third group; their own names come from the compiler, and not all tell the profile. Where there are as
    many groups as profiles, each is one's.
    """
    if profiles < 2:
        return layers
    tags = [re.search(r"\[profile (\d+)\]", layer.name) for layer in layers]
    groups = [re.search(r"_myl(\d+)_\d+$", layer.name) for layer in layers]
    indices = sorted({int(group.group(1)) for group in groups if group})
    known = {index: index for index in indices} if len(indices) == profiles else {}
    known |= {int(group.group(1)): int(tag.group(1)) for tag, group in zip(tags, groups, strict=True) if tag and group}
    own = [
        int(tag.group(1)) if tag else known.get(int(group.group(1)), 0) if group else 0
        for tag, group in zip(tags, groups, strict=True)
    ]
    return [layer for layer, profile in zip(layers, own, strict=True) if profile == max(own)]


def _tensors(text: str) -> list[tuple[str, int, tuple[int, ...]]]:
    pattern = r"Dimensions: \[([-\d,]*)\].*?Datatype: ([^,}]*)"
    return [
        _tensor({"Dimensions": [int(side) for side in sides.split(",") if side], "Datatype": kind})
        for sides, kind in re.findall(pattern, text)
    ]


def by_precision(layers: Iterable[Layer]) -> dict[str, int]:
    """Return how many layers are of each precision, in the order of PRECISIONS."""
    counts = collections.Counter(layer.precision for layer in layers)
    return {name: counts[name] for name in PRECISIONS if counts[name]}


def summary(layers: list[Layer]) -> dict[str, Any]:
    """Return what `engine.json` keeps of the layers."""
    held: collections.Counter[str] = collections.Counter()
    for layer in layers:
        if layer.weights_precision:
            held[layer.weights_precision] += layer.weights
    return {"layers": len(layers), "by_precision": by_precision(layers), "weight_bytes_by_precision": dict(held)}


def check_precision(wanted: str, graphs: dict[str, list[Layer]]) -> None:
    """Raise if engines are not of the precision that was asked for.

    Args:
        wanted: "fp32", "fp16" or "int8".
        graphs: the layers of each engine.

    Raises:
        GcposeError: no layer, or too little of the weights, is of the type; or half where only FP32 was wanted.
    """
    layers = [layer for items in graphs.values() for layer in items]
    counts = by_precision(layers)
    found = ", ".join(f"{count} {name}" for name, count in counts.items()) or "no layers"
    narrow = sum(counts.get(name, 0) for name in PRECISIONS[:-2])
    if not layers:
        raise GcposeError(
            "TensorRT's inspector names no layers, so the precision is unproven; run again with --verbose"
        )
    if wanted == "fp32":
        if narrow:
            raise GcposeError(f"fp32 was asked for, but the engine has {found} layers; build with --precision fp16")
        return
    name = {"fp16": "FP16", "int8": "INT8"}[wanted]
    if not counts.get(name):
        raise GcposeError(f"{wanted} was asked for, but no layer of the engine is {name} ({found}); {_ADVICE[wanted]}")
    allowed = {name} if wanted == "fp16" else {"INT8", "FP16", "BF16"}
    weighted = [layer for layer in layers if layer.weights_precision]
    total = sum(layer.weights for layer in weighted)
    share = sum(layer.weights for layer in weighted if layer.weights_precision in allowed) / total if total else 1.0
    if share < _LEAST_SHARE:
        raise GcposeError(
            f"{wanted} was asked for, but only {share:.0%} of the weights are ({found}); {_ADVICE[wanted]}"
        )


# By bytes, which FP32 layers have twice as many of: what is left to them here is small heads and geometry.
_LEAST_SHARE = 0.5
_ADVICE = {
    "fp16": "this GPU or TensorRT has no FP16 kernels for it: build with --precision fp32",
    "int8": "an INT8 engine needs a model with QuantizeLinear nodes: build with --precision fp16",
}
