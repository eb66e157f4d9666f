"""torchvision's keypointrcnn_resnet50_fpn as its own ONNX export, resizing and decoding included, in ONNX Runtime.

float32 RGB [3, H, W] of 0..1, H and W as the frame has them, to boxes [N, 4], labels [N], scores [N], keypoints
[N, 17, 3] and the logits of the joints [N, 17], all in pixels of the frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort

from gcpose_trt import PoseFrame
from gcpose_trt.benchmark import adapting
from gcpose_trt.benchmark.contender import ContenderInfo, ContenderSpec, Image
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import KEYPOINTS

TITLE = "torchvision keypointrcnn_resnet50_fpn, its ONNX export"
NEEDS = "its ONNX file, made by python -m benchmarks.peers.export_torchvision WEIGHTS OUTPUT"
WHAT = "the ONNX export of keypointrcnn_resnet50_fpn"
SOURCE = "make it in a clone of the project with python -m benchmarks.peers.export_torchvision WEIGHTS OUTPUT"
LICENCE = "BSD-3-Clause (code); weights as their source says"

MIN_SCORE = 0.05
PERSON = 1
# Written by the export; a file made by hand has none of them.
SIZE_KEY, SCORE_KEY, WEIGHTS_KEY = "size", "min_score", "weights_sha256"
RANKS = [2, 1, 1, 3, 2]  # of the outputs, in the order in which torchvision's dictionary has them


def missing(spec: ContenderSpec) -> str | None:
    """See `Adapter.missing`."""
    return adapting.missing_weights(spec.model, WHAT, SOURCE)


def open(spec: ContenderSpec) -> KeypointRCNNGraph:
    """See `Adapter.open`."""
    return KeypointRCNNGraph(spec)


class KeypointRCNNGraph:
    """torchvision's Keypoint R-CNN as one graph.

    Args:
        spec: `size` and `min_score` are parts of the graph: what differs from the file's is refused, but a higher
            `min_score`.

    Raises:
        GcposeError: the file is missing or of another network, or a setting is wrong.
    """

    thread_safe = True  # one session takes calls from several threads, and a call shares nothing else

    def __init__(self, spec: ContenderSpec) -> None:
        if reason := missing(spec):
            raise GcposeError(reason)
        adapting.check_spec(spec, backends=("onnxruntime",))
        self._session = adapting.open_onnx(spec, spec.model, WHAT)
        _check_graph(self._session, spec.model)
        self._input = self._session.get_inputs()[0].name
        record = self._session.get_modelmeta().custom_metadata_map
        size = record.get(SIZE_KEY, "as exported")
        _check_settings(spec, size, float(record.get(SCORE_KEY, MIN_SCORE)))
        self._min_score = MIN_SCORE if spec.min_score is None else spec.min_score
        self.info = ContenderInfo(
            backend="onnxruntime",
            precision="fp32",
            device=spec.device or "cpu",
            version=adapting.version("onnxruntime", "onnxruntime-gpu"),
            size=size,
            weights_sha256=record.get(WEIGHTS_KEY) or adapting.sha256(spec.model),
            files=(spec.model,),
            licence=LICENCE,
            keypoint_threshold=0.5,
        )

    def run(self, frame: Image) -> tuple[PoseFrame, dict[str, float]]:
        """See `Contender.run`; resizing and decoding lie in the graph, so in stage "network"."""
        laps = adapting.Laps()
        pixels = np.ascontiguousarray(frame[..., ::-1].transpose(2, 0, 1)).astype(np.float32)
        pixels /= 255
        laps.end("preprocess")
        boxes, labels, scores, joints, logits = map(np.asarray, self._session.run(None, {self._input: pixels}))
        laps.end("network")
        rows = np.flatnonzero(labels == PERSON)
        joints = joints[rows].astype(np.float64)
        # As in the adapter of the PyTorch network: 0, from which torchvision's users draw a joint, becomes 0.5.
        joints[..., 2] = 1 / (1 + np.exp(-np.clip(logits[rows], -50, 50).astype(np.float64)))
        found = adapting.poses(boxes[rows], scores[rows], joints, frame.shape, self._min_score)
        laps.end("postprocess")
        return found, laps.stages

    def close(self) -> None:
        """Drop the session; ONNX Runtime frees it with its last reference."""
        del self._session


def _check_graph(session: ort.InferenceSession, path: str) -> None:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    image = inputs[0].shape
    ours = len(inputs) == 1 and inputs[0].type == "tensor(float)" and len(image) == 3
    if not ours or [len(output.shape) for output in outputs] != RANKS:
        raise GcposeError(f"{Path(path).name} is of another network than torchvision's; give {WHAT}")
    joints = outputs[3].shape[1]
    if isinstance(joints, int) and joints != KEYPOINTS:  # an export need not know it
        raise GcposeError(f"{Path(path).name} finds {joints} joints, not COCO's {KEYPOINTS}; give {WHAT}")
    if any(isinstance(side, int) for side in image[1:]):
        sides = "x".join(str(side) for side in image[1:])
        raise GcposeError(f"{Path(path).name} takes images of {sides} only, without padding; {SOURCE}")


def _check_settings(spec: ContenderSpec, size: str, least: float) -> None:
    long = adapting.square_size(spec)
    if long is not None and size != f"long side {long}":
        raise GcposeError(
            f"size is part of this export ({size}), it cannot be {spec.size}; export it again with --size {long}"
        )
    if spec.min_score is not None and spec.min_score < least:
        raise GcposeError(
            f"people below {least:g} are left out in this export, min_score cannot be {spec.min_score:g}; export it "
            f"again with --min-score {spec.min_score:g}"
        )
