"""A model in ONNX Runtime, with its inner values as further outputs of in-memory copies of the graphs."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.compare.points import DetectorPoints, add_outputs, cut, detector_points, logits_point
from gcpose_trt.compare.side import Array, Detected, Posed
from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.runtime import bundle
from gcpose_trt.runtime.info import ModelInfo

try:
    import onnx
    import onnxruntime as ort
except ImportError as error:
    raise MissingDependencyError(error.name or "onnx", "export", "comparing ONNX models") from error

_TYPES = {
    "tensor(float)": (onnx.TensorProto.FLOAT, np.float32),
    "tensor(float16)": (onnx.TensorProto.FLOAT16, np.float16),
    "tensor(int64)": (onnx.TensorProto.INT64, np.int64),
    "tensor(int32)": (onnx.TensorProto.INT32, np.int32),
    "tensor(uint8)": (onnx.TensorProto.UINT8, np.uint8),
}
_HEAVY = ("Conv", "ConvTranspose", "NonMaxSuppression")


class OnnxSide:
    """The two graphs of a model.

    Args:
        model: a shipped name, a folder with the two files, or either file.
        precision: "fp16" casts the graphs as the engine builder does and rounds every value as a GPU would
            (`gcpose_trt.graph.emulation`); "fp32" and None take them as they are; "int8" also, and wants them
            quantized.
        threads: of one inference.
        label: what the report calls this side.
        graphs: detector and pose graph instead of those of `model`.

    Raises:
        GcposeError: a file is corrupt, not one of ours, or cannot be cast.
    """

    def __init__(
        self,
        model: str,
        precision: str | None = None,
        *,
        threads: int | None = None,
        label: str = "",
        graphs: tuple[onnx.ModelProto, onnx.ModelProto] | None = None,
    ) -> None:
        self.label = label or model
        self._threads = threads
        paths = bundle.find(model)
        self.detector, self.pose_graph = graphs or (_read(paths.detector), _read(paths.pose))
        self.info: ModelInfo = bundle.check_pair(
            bundle.read_record(_record(self.detector), "detector", paths.detector),
            bundle.read_record(_record(self.pose_graph), "pose", paths.pose),
            paths,
        )
        if precision in ("fp16", "int8") and graphs is None:
            self.detector, self.pose_graph = _prepared(paths, precision)
        self._points = detector_points(self.detector)
        self._logits = logits_point(self.pose_graph)
        self.absent: Mapping[str, str] = _absent(self._points, self._logits)
        self._detector_session = open_session(add_outputs(self.detector, self._points.names()), paths.detector, threads)
        self._types = {value.name: value.type for value in self._detector_session.get_outputs()}
        further = [self._logits] if self._logits else []
        self._pose_session = open_session(add_outputs(self.pose_graph, further), paths.pose, threads)
        batch = next(value.shape[0] for value in self._detector_session.get_inputs() if value.name == "image")
        self.batch_limit = batch if isinstance(batch, int) else None

    def detect(self, image: NDArray[np.uint8], image_size: NDArray[np.int64]) -> Detected:
        """See `Side.detect`."""
        points = self._points
        values = run_session(self._detector_session, {"image": image, "image_size": image_size})
        return Detected(
            p2=values["p2"],
            boxes=values["boxes"],
            scores=values["scores"],
            count=values["count"],
            maps={stage: values[name] for stage, name in points.maps.items()},
            proposals=values[points.proposals] if points.proposals else None,
            proposal_count=values[points.proposal_count] if points.proposal_count else None,
        )

    def refine(self, found: Detected, image_size: NDArray[np.int64]) -> tuple[Array, Array] | None:
        """See `Side.refine`."""
        points, session = self._points, self._box_session
        if session is None or set(found.maps) != set(points.maps) or found.proposals is None:
            return None
        assert points.boxes and points.scores  # else there is no session
        values = run_session(session, self.box_branch_feeds(found, image_size))
        return values[points.boxes], values[points.scores]

    def box_branch_feeds(self, found: Detected, image_size: NDArray[np.int64]) -> dict[str, Array]:
        """Return what `box_branch` takes, by the names of this side's graph."""
        points = self._points
        feeds = {points.maps[stage]: value for stage, value in found.maps.items() if stage in points.maps}
        if points.proposals and found.proposals is not None:
            feeds[points.proposals] = found.proposals
        if points.proposal_count and found.proposal_count is not None:
            feeds[points.proposal_count] = found.proposal_count
        return feeds | {"image_size": image_size}

    @functools.cached_property
    def box_branch(self) -> onnx.ModelProto | None:
        """The detector from maps and proposals to the last suppression, if it can be cut out."""
        points = self._points
        if not (points.proposals and points.proposal_count and points.boxes and points.scores):
            return None
        inputs: dict[str, int] = {
            name: _TYPES[self._types[name]][0] for name in [*points.maps.values(), points.proposals]
        }
        inputs |= {points.proposal_count: onnx.TensorProto.INT64, "image_size": onnx.TensorProto.INT64}
        # Convolutions in the part would mean that it computes the maps anew.
        return cut(self.detector, inputs, [points.boxes, points.scores], lambda node: node.op_type not in _HEAVY)

    @functools.cached_property
    def _box_session(self) -> ort.InferenceSession | None:
        part = self.box_branch
        return None if part is None else open_session(part, Path("the box branch"), self._threads)

    def pose(self, p2: Array, boxes: Array, batch_index: Array) -> Posed:
        """See `Side.pose`; the map is cast to what the graph takes."""
        values = run_session(self._pose_session, {"p2": p2, "boxes": boxes, "batch_index": batch_index})
        return Posed(values["keypoints"], values[self._logits] if self._logits else None)

    def close(self) -> None:
        """Drop the sessions."""
        self.__dict__.pop("_box_session", None)
        del self._detector_session, self._pose_session


def _read(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf's DecodeError, and what it raises of lengths
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise GcposeError(f"{path} cannot be loaded ({line}); make it again with gcpose-trt export") from error
    if not model.graph.node:
        raise GcposeError(f"{path} holds no graph; make it again with gcpose-trt export")
    return model


def _record(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}


def _prepared(paths: bundle.BundlePaths, precision: str) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    from gcpose_trt.graph.emulation import emulate_float16
    from gcpose_trt.graph.prepare import prepare_bundle

    prepared = prepare_bundle(paths, precision=precision)
    for graph in (prepared.detector, prepared.pose):
        emulate_float16(graph)
    return prepared.detector, prepared.pose


def _absent(points: DetectorPoints, logits: str | None) -> dict[str, str]:
    why = "the graph has no such gcpose node"
    absent = {}
    if not points.maps:
        absent["pyramid"] = why
    if points.proposals is None or points.proposal_count is None:
        absent["proposals"] = why
    if points.boxes is None:
        absent["box branch"] = why
    if logits is None:
        absent["logits"] = why
    return absent


def open_session(model: onnx.ModelProto, origin: Path, threads: int | None) -> ort.InferenceSession:
    """Open a graph that is in memory.

    Raises:
        GcposeError: ONNX Runtime cannot run it.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 4
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception as error:  # its exceptions have no public base class
        raise GcposeError(f"ONNX Runtime cannot load {origin} ({_line(error)}); export the model again") from error


def run_session(
    session: ort.InferenceSession, feeds: Mapping[str, Array], outputs: Iterable[str] | None = None
) -> dict[str, Array]:
    """Run a graph on the feeds that it takes, cast to its types; half precision outputs return as float32.

    Raises:
        GcposeError: it fails.
    """
    taken = {}
    for value in session.get_inputs():
        _, dtype = _TYPES[value.type]
        taken[value.name] = np.ascontiguousarray(feeds[value.name], dtype)
    names = list(outputs or (value.name for value in session.get_outputs()))
    try:
        found: list[Any] = session.run(names, taken)
    except Exception as error:  # its exceptions have no public base class
        raise GcposeError(f"ONNX Runtime cannot run the model ({_line(error)}); export it again") from error
    return {name: _wide(value) for name, value in zip(names, found, strict=True)}


def _wide(value: Array) -> Array:
    return value.astype(np.float32) if value.dtype == np.float16 else value


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
