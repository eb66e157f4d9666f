"""Running the two graphs with ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.runtime import bundle
from gcpose_trt.runtime.backends import Detections

PROVIDERS = ["CPUExecutionProvider"]
DETECTOR_INPUTS = {"image", "image_size"}
DETECTOR_OUTPUTS = ["p2", "boxes", "scores", "count"]
POSE_INPUTS = {"p2", "boxes", "batch_index"}
POSE_OUTPUTS = ["keypoints"]
PRECISIONS = ("fp32", "fp16", "int8")


class OnnxRuntimeBackend:
    """Both graphs of a model as ONNX Runtime sessions.

    Args:
        paths: the model's files.
        threads: threads of one inference, or None for one a physical core.
        precision: "fp32", or "fp16" to run the graphs as an engine of that precision has them: cast in memory, with
            boxes, suppression, softmax and decode left in float32, and every FP16 node rounding what it returns. It
            is to measure what half precision costs in accuracy; the CPU is slower for it. "int8" runs the model's INT8
            form: the files themselves if they are quantized, else those of the folder beside theirs with "-int8" behind
            its name, made from the same weights. Quantized files run in INT8 whatever is asked for, but not in fp16.

    Attributes:
        paths: the files that run: those of the INT8 form where that does.

    Raises:
        GcposeError: a file is corrupt, not one of ours, or does not go with the other.
        MissingDependencyError: fp16 without the package onnx.
    """

    name = "onnxruntime"
    device_name = "cpu"

    def __init__(self, paths: bundle.BundlePaths, threads: int | None = None, precision: str = "fp32") -> None:
        if precision not in PRECISIONS:
            raise GcposeError(f"ONNX Runtime cannot run in {precision!r}; choose one of {', '.join(PRECISIONS)}")
        detector, pose = _cast(paths, precision) if precision == "fp16" else (None, None)
        if precision == "int8":
            paths = _int8_paths(paths)
        self.paths = paths
        self._detector = open_session(paths.detector, threads, detector)
        self._pose = open_session(paths.pose, threads, pose)
        self.info = bundle.check_pair(
            bundle.read_record(_metadata(self._detector), "detector", paths.detector),
            bundle.read_record(_metadata(self._pose), "pose", paths.pose),
            paths,
        )
        if precision == "int8":
            _check_quantized(self._detector, self._pose, paths)
        # Quantized files run in INT8 whatever is asked for.
        self.precision = "int8" if bundle.INT8_KEY in _metadata(self._detector) else precision
        _check_names(self._detector, DETECTOR_INPUTS, DETECTOR_OUTPUTS, paths.detector)
        _check_names(self._pose, POSE_INPUTS, POSE_OUTPUTS, paths.pose)
        batch = next(value.shape[0] for value in self._detector.get_inputs() if value.name == "image")
        self.batch_limit = batch if isinstance(batch, int) else None

    def detect(self, image: NDArray[np.uint8], image_size: NDArray[np.int64]) -> Detections:
        """See `Backend.detect`; `p2` stays an OrtValue: Python never touches the largest tensor."""
        feeds = {"image": ort.OrtValue.ortvalue_from_numpy(image), "image_size": _value(image_size)}
        p2, boxes, scores, count = run_session(self._detector, DETECTOR_OUTPUTS, feeds)
        return Detections(p2, boxes.numpy(), scores.numpy(), count.numpy())

    def pose(self, p2: ort.OrtValue, boxes: NDArray[np.float32], batch_index: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Backend.pose`."""
        feeds = {"p2": p2, "boxes": _value(boxes), "batch_index": _value(batch_index)}
        return run_session(self._pose, POSE_OUTPUTS, feeds)[0].numpy()

    @property
    def sessions(self) -> dict[str, ort.InferenceSession]:
        """The two graphs, "detector" and "pose"."""
        return {"detector": self._detector, "pose": self._pose}

    def close(self) -> None:
        """Drop the sessions; ONNX Runtime frees them with their last reference."""
        del self._detector, self._pose


def _value(array: NDArray[Any]) -> ort.OrtValue:
    return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))


def _int8_paths(paths: bundle.BundlePaths) -> bundle.BundlePaths:
    """Return the files to run in INT8: those beside a float model's, if they are of its weights, else its own."""
    beside = bundle.int8_form(paths)
    if beside is None:
        return paths
    hashes = []
    for path in (paths.detector, beside.detector):
        metadata = _metadata(open_session(path, 1, optimise=False))
        if path == paths.detector and bundle.INT8_KEY in metadata:
            return paths
        hashes.append(bundle.read_record(metadata, "detector", path).weights_sha256)
    if hashes[0] != hashes[1]:
        raise GcposeError(
            f"{beside.detector.parent} was made from weights {hashes[1]}, but {paths.detector.parent} has {hashes[0]}; "
            f"make it again with: gcpose-trt quantize {paths.detector.parent} --calibration JSON --output "
            f"{beside.detector.parent}"
        )
    return beside


def _check_quantized(detector: ort.InferenceSession, pose: ort.InferenceSession, paths: bundle.BundlePaths) -> None:
    for session, path in ((detector, paths.detector), (pose, paths.pose)):
        if bundle.INT8_KEY not in _metadata(session):
            raise GcposeError(
                f"{path} is not quantized and there is no INT8 form of it; make one with: gcpose-trt quantize "
                f"{path.parent} --calibration JSON --output {path.parent}{bundle.INT8_SUFFIX}"
            )


def _cast(paths: bundle.BundlePaths, precision: str) -> tuple[bytes, bytes]:
    """Return both graphs in another precision, serialised."""
    try:
        from gcpose_trt.graph.emulation import emulate_float16
        from gcpose_trt.graph.prepare import prepare_bundle
    except ImportError as error:
        raise MissingDependencyError(error.name or "onnx", "tensorrt", f"precision {precision}") from error
    if bundle.INT8_KEY in _metadata(open_session(paths.detector, 1, optimise=False)):
        raise GcposeError(
            f"{paths.detector.parent} is quantized to INT8; leave the precision out, or give the float model"
        )
    graphs = prepare_bundle(paths, precision=precision)
    # Left to itself ONNX Runtime would drop the roundings between FP16 nodes, and the answers would be FP32's.
    for model in (graphs.detector, graphs.pose):
        emulate_float16(model)
    return graphs.detector.SerializeToString(), graphs.pose.SerializeToString()


def open_session(
    path: Path, threads: int | None = None, content: bytes | None = None, optimise: bool = True
) -> ort.InferenceSession:
    """Open a file, or what was made of it; without optimising, to read its metadata.

    Args:
        path: the file, for messages too.
        threads: of one inference, or None for one a physical core.
        content: the graph to open in place of the file's.
        optimise: let ONNX Runtime rewrite the graph.

    Raises:
        GcposeError: it cannot be loaded.
    """
    options = ort.SessionOptions()
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads or 0
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Our errors are one line; ONNX Runtime would also print its own to stderr.
    options.log_severity_level = 4
    # Spinning inside a run saves waking threads for hundreds of small operators: 60 ms a frame of the sample clip with
    # it, 70 without (two cores). After a run it would only take the cores from the other graph's threads.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return ort.InferenceSession(content or str(path), options, providers=PROVIDERS)
    except MemoryError:
        raise
    except Exception as error:  # its exceptions have no public base class
        raise GcposeError(
            f"{path} cannot be loaded ({_first_line(error)}); make it again with gcpose-trt export"
        ) from error


def _metadata(session: ort.InferenceSession) -> dict[str, str]:
    return dict(session.get_modelmeta().custom_metadata_map)


def _check_names(session: ort.InferenceSession, inputs: set[str], outputs: list[str], path: Path) -> None:
    found_inputs = {value.name for value in session.get_inputs()}
    found_outputs = {value.name for value in session.get_outputs()}
    if found_inputs != inputs or not found_outputs.issuperset(outputs):
        raise GcposeError(
            f"{path} takes {sorted(found_inputs)} and returns {sorted(found_outputs)}, "
            f"not {sorted(inputs)} and {sorted(outputs)}; export the model again"
        )


def run_session(
    session: ort.InferenceSession, outputs: list[str], feeds: dict[str, ort.OrtValue]
) -> list[ort.OrtValue]:
    """Run a graph.

    Raises:
        GcposeError: ONNX Runtime refuses, or has no memory.
    """
    try:
        return list(session.run_with_ort_values(outputs, feeds))
    except Exception as error:  # its exceptions have no public base class
        text = _first_line(error)
        if "allocate memory" in text.lower() or "bad_alloc" in text.lower():
            raise GcposeError(
                f"out of memory in ONNX Runtime ({text}); choose a smaller size or fewer people"
            ) from error
        raise GcposeError(
            f"ONNX Runtime cannot run the model ({text}); export it again or choose another size"
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
