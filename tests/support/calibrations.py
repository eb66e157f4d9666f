"""A calibration of a few pictures, made in seconds: the largest magnitude of every value that may be quantized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from gcpose_trt.graph.prepare import prepare_bundle
from gcpose_trt.quantization.identity import graph_sha256
from gcpose_trt.quantization.record import CalibrationRecord, TensorRange
from gcpose_trt.quantization.tensors import activations


def quick_calibration(model: Any, images: Sequence[np.ndarray]) -> CalibrationRecord:
    """Return the ranges that a model takes in (H, W, 3) pictures whose sides are multiples of 32."""
    prepared = prepare_bundle(model)
    detector, pose = _Observer(prepared.detector, "detector"), _Observer(prepared.pose, "pose")
    for image in images:
        size = np.array([image.shape[:2]], np.int64)
        found = detector.run({"image": image[None], "image_size": size})
        boxes = found["boxes"][0, : max(1, int(found["count"][0]))]
        pose.run({"p2": found["p2"], "boxes": boxes, "batch_index": np.zeros(len(boxes), np.int64)})
    tensors = detector.ranges | {
        f"pose:{name}" if name in detector.ranges else name: entry for name, entry in pose.ranges.items()
    }
    return CalibrationRecord(
        model=prepared.info.model,
        weights_sha256=prepared.info.weights_sha256,
        graph_sha256={"detector": graph_sha256(prepared.detector), "pose": graph_sha256(prepared.pose)},
        images={"count": len(images), "skipped": 0, "people": 0, "list_sha256": ""},
        input={"size": None, "short": None, "long": 0},
        seed=0,
        tensors=tensors,
        weights={},
        tools={},
    )


class _Observer:
    """Runs a graph and keeps the largest magnitude of each of its features."""

    def __init__(self, model: onnx.ModelProto, graph: str) -> None:
        self._graph = graph
        self._outputs = [value.name for value in model.graph.output]
        self._names = activations(model)
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        reads = {value.name for value in model.graph.input}
        self._names = [name for name in self._names if name not in reads]
        added = [name for name in self._names if name not in self._outputs]
        copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in added)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(copy.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self._reads = reads
        self.ranges: dict[str, TensorRange] = {}

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run it on one picture and return all its outputs."""
        names = list(dict.fromkeys([*self._outputs, *self._names]))
        values = dict(zip(names, self._session.run(names, feeds), strict=True))
        for name in self._names:
            self._take(name, values[name])
        if self._graph == "pose":
            self._take("p2", feeds["p2"])
        return values

    def _take(self, name: str, value: np.ndarray) -> None:
        if not value.size:
            return
        low, high = min(float(value.min()), 0.0), max(float(value.max()), 0.0)
        if name in self.ranges:
            low, high = min(low, self.ranges[name].min), max(high, self.ranges[name].max)
        most = max(-low, high)
        percentile = dict.fromkeys(("99.9", "99.99", "99.999"), most)
        self.ranges[name] = TensorRange(self._graph, low, high, percentile, most, most, low, high)


def scaled(record: CalibrationRecord, factor: float, graph: str = "detector") -> CalibrationRecord:
    """Return a calibration whose ranges of a graph are wrong by a factor."""

    def wrong(entry: TensorRange) -> TensorRange:
        if entry.graph != graph:
            return entry
        values = {key: getattr(entry, key) * factor for key in ("min", "max", "entropy", "mse", "mse_min", "mse_max")}
        return replace(entry, percentile={key: value * factor for key, value in entry.percentile.items()}, **values)

    return replace(record, tensors={name: wrong(entry) for name, entry in record.tensors.items()})
