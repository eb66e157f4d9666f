"""MoveNet MultiPose Lightning (Google, Apache-2.0) as one ONNX file, in ONNX Runtime.

int32 RGB [1, H, W, 3], sides multiples of 32, to [1, 6, 56]: 17 x (y, x, score), ymin, xmin, ymax, xmax, score, all
relative to the padded input.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gcpose_trt import PoseFrame
from gcpose_trt.benchmark import adapting
from gcpose_trt.benchmark.contender import ContenderInfo, ContenderSpec, Image
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.preprocess import Letterbox, SizeRule, fit, parse_size, place

TITLE = "MoveNet MultiPose Lightning"
NEEDS = "its ONNX file: int32 RGB [1, H, W, 3] to [1, 6, 56]"
WHAT = "the ONNX file of MoveNet MultiPose"

PEOPLE, NUMBERS = 6, 56
LONG_SIDE = 512
MIN_SCORE = 0.3


def missing(spec: ContenderSpec) -> str | None:
    """See `Adapter.missing`."""
    return adapting.missing_weights(spec.model, WHAT, "give one made from the published model with tf2onnx")


def open(spec: ContenderSpec) -> MoveNetMultiPose:
    """See `Adapter.open`."""
    return MoveNetMultiPose(spec)


class MoveNetMultiPose:
    """Finds up to six people in a BGR frame.

    Args:
        spec: `size` is the long side (512 if it is left out), the short side is padded to a multiple of 32, or HxW;
            `min_score` is 0.3 if it is left out.

    Raises:
        GcposeError: the file is missing or is another network, or a setting is wrong.
    """

    thread_safe = True  # one session takes calls from several threads, and a call shares nothing else

    def __init__(self, spec: ContenderSpec) -> None:
        if reason := missing(spec):
            raise GcposeError(reason)
        adapting.check_spec(spec, backends=("onnxruntime",))
        self._rule = parse_size(spec.size) or SizeRule(long=LONG_SIDE)
        self._min_score = MIN_SCORE if spec.min_score is None else spec.min_score
        self._session = adapting.open_onnx(spec, spec.model, WHAT)
        source, target = self._session.get_inputs(), self._session.get_outputs()
        ours = len(source) == len(target) == 1 and source[0].type == "tensor(int32)"
        if not ours or target[0].shape != [1, PEOPLE, NUMBERS]:
            raise GcposeError(f"{spec.model} is not MoveNet MultiPose; give {WHAT}")
        self._input = source[0].name
        exact = self._rule.exact
        self.info = ContenderInfo(
            backend="onnxruntime",
            precision="fp32",
            device=spec.device or "cpu",
            version=adapting.version("onnxruntime", "onnxruntime-gpu"),
            size=f"{exact[0]}x{exact[1]}" if exact else f"long side {self._rule.long}",
            weights_sha256=adapting.sha256(spec.model),
            files=(spec.model,),
            licence="Apache-2.0",
            keypoint_threshold=0.3,
        )

    def run(self, frame: Image) -> tuple[PoseFrame, dict[str, float]]:
        """See `Contender.run`."""
        laps = adapting.Laps()
        box = fit((frame.shape[0], frame.shape[1]), self._rule)
        image = place(frame, box)[None, ..., ::-1].astype(np.int32)
        laps.end("preprocess")
        (output,) = self._session.run(None, {self._input: image})
        laps.end("network")
        found = decode(np.asarray(output)[0], box, self._min_score)
        laps.end("postprocess")
        return found, laps.stages

    def close(self) -> None:
        """Drop the session; ONNX Runtime frees it with its last reference."""
        del self._session


def decode(people: NDArray[np.float32], box: Letterbox, min_score: float) -> PoseFrame:
    """Turn the network's output into poses in pixels of the frame.

    It gives joints as COCO annotates them, as indices of pixels: read as continuous coordinates, its keypoint AP on 100
    images of val2017 is 0.372 instead of 0.378.

    Args:
        people: (6, 56) float32.
        box: where the frame lies in the input.
        min_score: people below this score are left out.
    """
    height, width = box.canvas
    joints = people[:, :51].reshape(-1, 17, 3)[..., [1, 0, 2]] * np.array([width, height, 1], np.float32)
    boxes = people[:, [52, 51, 54, 53]] * np.array([width, height, width, height], np.float32)
    return adapting.poses(
        box.boxes_to_frame(boxes), people[:, 55], box.keypoints_to_frame(joints), box.frame, min_score
    )
