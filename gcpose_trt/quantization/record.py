"""What a calibration found: one JSON file that any machine can read and any builder of INT8 graphs can use.

TensorRT's own calibration caches hold for one version and one graph as TensorRT fused it, and TensorRT 11 reads none.
Here the file has ranges by the names of the ONNX graph's values, and says for which weights and graph they hold.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write
from gcpose_trt.quantization.identity import graph_sha256

FORMAT = 1
KIND = "gcpose-trt calibration"
GRAPHS = ("detector", "pose")
_AGAIN = "make it again with: gcpose-trt calibrate MODEL --images DIR --output FILE"


@dataclass(frozen=True)
class TensorRange:
    """The values that one tensor took.

    Attributes:
        graph: "detector" or "pose".
        min: smallest value; max: largest.
        percentile: by percentage as text ("99.99"), the magnitude that so many of the values do not exceed.
        entropy: magnitude at which the quantized distribution is closest to the float one (Kullback-Leibler).
        mse: magnitude of least squared error with 255 symmetric levels.
        mse_min, mse_max: ends of least squared error with 256 levels from mse_min to mse_max, zero one of them.
    """

    graph: str
    min: float
    max: float
    percentile: Mapping[str, float]
    entropy: float
    mse: float
    mse_min: float
    mse_max: float

    @property
    def constant(self) -> bool:
        """Whether the tensor never had but one value."""
        return self.min == self.max


@dataclass(frozen=True)
class WeightRange:
    """The magnitudes of one weight.

    Attributes:
        axis: of the output channels.
        amax: (channels,) float32, largest magnitude of each.
    """

    axis: int
    amax: NDArray[np.float32]


@dataclass(frozen=True)
class CalibrationRecord:
    """The contents of a calibration file.

    Attributes:
        model: name of the architecture.
        weights_sha256: digest of the weights, as the model's record has it.
        graph_sha256: of each float graph, see `gcpose_trt.quantization.identity.graph_sha256`.
        images: {"count", "skipped", "people", "list_sha256"}.
        input: {"size": [H, W] or null, "short", "long"}, how large the images were in the network.
        seed: of the choice of images.
        tensors: by the name of the value in the float graph; "pose:NAME" where the detector has one of that name.
        weights: by the name of the initializer.
        tools: versions by name.
        settings: what else the ranges depend on: bins of the histograms, people of an image.
    """

    model: str
    weights_sha256: str
    graph_sha256: Mapping[str, str]
    images: Mapping[str, Any]
    input: Mapping[str, Any]
    seed: int
    tensors: Mapping[str, TensorRange]
    weights: Mapping[str, WeightRange]
    tools: Mapping[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CalibrationRecord:
        """Read a calibration file.

        Raises:
            GcposeError: missing, truncated, of another format, or with fields missing or out of range.
        """
        content = _read(Path(path))
        try:
            return cls(
                model=str(content["model"]),
                weights_sha256=str(content["weights_sha256"]),
                graph_sha256={graph: str(content["graph_sha256"][graph]) for graph in GRAPHS},
                images=dict(content["images"]),
                input=dict(content["input"]),
                seed=int(content["seed"]),
                tensors={name: _tensor(name, entry) for name, entry in content["tensors"].items()},
                weights={name: _weight(name, entry) for name, entry in content["weights"].items()},
                tools={name: str(version) for name, version in content["tools"].items()},
                settings=dict(content["settings"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise GcposeError(f"{path} is an incomplete calibration ({error!r}); {_AGAIN}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, whole or not at all; the same record gives the same bytes.

        Raises:
            GcposeError: it cannot be written.
        """
        with atomic_write(path, "w") as stream:
            stream.write(self.to_json())

    def to_json(self) -> str:
        """Return the file's text: one line a tensor and a weight, so that two calibrations can be compared."""
        head = {
            "format": FORMAT,
            "kind": KIND,
            "model": self.model,
            "weights_sha256": self.weights_sha256,
            "graph_sha256": dict(self.graph_sha256),
            "images": dict(self.images),
            "input": dict(self.input),
            "seed": self.seed,
            "settings": dict(self.settings),
            "tools": dict(self.tools),
        }
        lines = [f'"{key}":{_compact(head[key])}' for key in sorted(head)]
        tensors = {name: _tensor_entry(entry) for name, entry in self.tensors.items()}
        weights = {name: _weight_entry(entry) for name, entry in self.weights.items()}
        lines += [f'"tensors":{_table(tensors)}', f'"weights":{_table(weights)}']
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def check(self, detector: onnx.ModelProto, pose: onnx.ModelProto) -> None:
        """Refuse to be used for another model.

        Args:
            detector, pose: the float graphs, as `prepare_bundle` returns them in FP32 with functions and plugin nodes,
                at any size.

        Raises:
            GcposeError: they have other weights or another structure; the message has both digests.
        """
        for graph, model in zip(GRAPHS, (detector, pose), strict=True):
            weights = _weights_of(model)
            if weights is not None and weights != self.weights_sha256:
                raise GcposeError(
                    f"the calibration was made for weights {self.weights_sha256}, the {graph} graph has {weights}; "
                    "calibrate this model with gcpose-trt calibrate, or give the model that was calibrated"
                )
            found = graph_sha256(model)
            if found != self.graph_sha256[graph]:
                raise GcposeError(
                    f"the calibration was made for another {graph} graph, {self.graph_sha256[graph]}, this one is "
                    f"{found}; calibrate this model with gcpose-trt calibrate, or give the model that was calibrated"
                )

    def tensor(self, name: str, graph: str | None = None) -> TensorRange:
        """Return what is known of a value.

        Args:
            name: in the float graph.
            graph: "detector" or "pose"; None takes whichever has it, the detector first.

        Raises:
            GcposeError: there is no such value.
        """
        for key in (name, f"pose:{name}"):
            entry = self.tensors.get(key)
            if entry is not None and graph in (None, entry.graph):
                return entry
        where = f"the {graph} graph's " if graph else ""
        raise GcposeError(f"the calibration has no range of {where}tensor {name}; {_AGAIN}")

    def has(self, name: str, graph: str | None = None) -> bool:
        """Say whether there is a range of a value."""
        return any(key in self.tensors and graph in (None, self.tensors[key].graph) for key in (name, f"pose:{name}"))

    def amax(self, name: str, method: str = "percentile:99.99", graph: str | None = None) -> float:
        """Return the magnitude that symmetric INT8 should map to 127; 0 for a tensor that is always zero.

        Args:
            name: of the value in the float graph.
            method: "max", "percentile:P" with a P that was collected, "entropy" or "mse".
            graph: see `tensor`.

        Raises:
            GcposeError: no such value or method.
        """
        entry = self.tensor(name, graph)
        if method == "max":
            return max(abs(entry.min), abs(entry.max))
        if method in ("entropy", "mse"):
            return float(getattr(entry, method))
        percentage = method.partition("percentile:")[2]
        if percentage in entry.percentile:
            return entry.percentile[percentage]
        known = ", ".join(["max", *(f"percentile:{p}" for p in sorted(entry.percentile)), "entropy", "mse"])
        raise GcposeError(f"no range was collected by the method {method!r}; choose one of {known}")

    def range(self, name: str, method: str = "percentile:99.99", graph: str | None = None) -> tuple[float, float]:
        """Return (low, high) that unsigned INT8 should span; zero is always within.

        Arguments and errors as those of `amax`. All methods but "mse" cut the values that were seen at `amax`.
        """
        entry = self.tensor(name, graph)
        if method == "mse":
            return entry.mse_min, entry.mse_max
        most = self.amax(name, method, graph)
        return min(0.0, max(entry.min, -most)), max(0.0, min(entry.max, most))

    def weight_amax(self, name: str) -> WeightRange:
        """Return the magnitudes of a weight by output channel.

        Raises:
            GcposeError: no weight of that name.
        """
        if name not in self.weights:
            raise GcposeError(f"the calibration has no scales of weight {name}; {_AGAIN}")
        return self.weights[name]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise GcposeError(f"no calibration at {path}; {_AGAIN.replace('make it again', 'make one')}") from None
    except OSError as error:
        raise GcposeError(f"cannot read {path} ({error.strerror}); check its permissions") from error
    except (ValueError, RecursionError) as error:
        raise GcposeError(f"{path} is not complete JSON ({error}), it may be truncated; {_AGAIN}") from error
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise GcposeError(f"{path} is not a calibration of gcpose-trt; {_AGAIN}")
    if content.get("format") != FORMAT:
        raise GcposeError(
            f"{path} has calibration format {content.get('format')!r}, this version reads {FORMAT}; {_AGAIN}"
        )
    return content


def _tensor(name: str, entry: Mapping[str, Any]) -> TensorRange:
    numbers = {key: float(entry[key]) for key in ("min", "max", "entropy", "mse", "mse_min", "mse_max")}
    percentile = {str(key): float(value) for key, value in entry["percentile"].items()}
    graph = entry["graph"]
    if graph not in GRAPHS or not all(map(math.isfinite, [*numbers.values(), *percentile.values()])):
        raise ValueError(f"tensor {name} has a range that is not finite, or an unknown graph")
    sizes = [numbers["entropy"], numbers["mse"], numbers["mse_max"], -numbers["mse_min"], *percentile.values()]
    if numbers["min"] > numbers["max"] or min(sizes) < 0:
        raise ValueError(f"tensor {name} has a range whose ends are the wrong way round")
    return TensorRange(graph=graph, percentile=percentile, **numbers)


def _weight(name: str, entry: Mapping[str, Any]) -> WeightRange:
    try:
        amax = np.frombuffer(base64.b64decode(entry["amax"], validate=True), "<f4").astype(np.float32)
    except binascii.Error as error:
        raise ValueError(f"weight {name}: {error}") from error
    if not amax.size or not np.isfinite(amax).all() or amax.min() < 0:
        raise ValueError(f"weight {name} has magnitudes that are not finite")
    return WeightRange(int(entry["axis"]), amax)


def _tensor_entry(entry: TensorRange) -> dict[str, Any]:
    numbers = {key: _short(getattr(entry, key)) for key in ("min", "max", "entropy", "mse", "mse_min", "mse_max")}
    percentile = {key: _short(value) for key, value in entry.percentile.items()}
    return {"graph": entry.graph, "percentile": percentile, **numbers}


def _weight_entry(entry: WeightRange) -> dict[str, Any]:
    # Tens of thousands of channels: written as decimals they would be most of a megabyte.
    packed = base64.b64encode(np.ascontiguousarray(entry.amax, "<f4").tobytes()).decode()
    return {"axis": entry.axis, "amax": packed}


def _short(value: float) -> float:
    """Return the float whose shortest text is that of the float32: 0.1, not 0.10000000149."""
    return float(str(np.float32(value))) + 0.0  # no negative zero


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _table(entries: Mapping[str, Any]) -> str:
    lines = [f"{json.dumps(name)}:{_compact(entries[name])}" for name in sorted(entries)]
    return "{\n" + ",\n".join(lines) + "\n}"


def _weights_of(model: onnx.ModelProto) -> str | None:
    """Return the digest of the weights that a model's own record names, None without a record."""
    for entry in model.metadata_props:
        if entry.key == "gcpose":
            try:
                record = json.loads(entry.value)
            except ValueError:
                return None
            return str(record["weights_sha256"]) if isinstance(record, dict) and "weights_sha256" in record else None
    return None
