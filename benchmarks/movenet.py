"""MoveNet MultiPose Lightning behind the call of `PoseEstimator`: the peer that `mobile` is measured against.

The network is Google's (Apache-2.0), as a single ONNX file: int32 RGB [1, H, W, 3], sides multiples of 32, to
[1, 6, 56]: 17 x (y, x, score), ymin, xmin, ymax, xmax, score, all relative to the padded input.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from gcpose_trt import PoseFrame
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.preprocess import Letterbox, SizeRule, fit, place

PEOPLE, NUMBERS = 6, 56
# MoveNet gives joints as COCO annotates them, as indices of pixels; a PoseFrame has continuous coordinates. Without it
# its keypoint AP on 100 images of val2017 is 0.372 instead of 0.378.
PIXEL_CENTRE = 0.5


class MoveNetMultiPose:
    """Finds up to six people in a BGR frame.

    Args:
        path: the ONNX file.
        size: long side of the input; the short side is padded to a multiple of 32.
        min_score: people below this score are left out.
        threads: CPU threads of one call.

    Raises:
        GcposeError: the file is missing or is another network.
    """

    def __init__(self, path: Path, size: int = 512, min_score: float = 0.3, threads: int | None = None) -> None:
        if not path.is_file():
            raise GcposeError(f"no MoveNet MultiPose at {path}; give its ONNX file with --movenet")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or 0
        # As in our own backend, so that the two wait for their threads alike.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        (source,), (target,) = self._session.get_inputs(), self._session.get_outputs()
        if source.type != "tensor(int32)" or target.shape != [1, PEOPLE, NUMBERS]:
            raise GcposeError(f"{path} is not MoveNet MultiPose; give its ONNX file with --movenet")
        self._input = source.name
        self._rule = SizeRule(long=size)
        self._min_score = min_score

    def __call__(self, frame: NDArray[np.uint8]) -> PoseFrame:
        """Find the people in one (H, W, 3) uint8 BGR frame."""
        box = fit((frame.shape[0], frame.shape[1]), self._rule)
        image = place(frame, box)[None, ..., ::-1].astype(np.int32)
        (output,) = self._session.run(None, {self._input: image})
        return decode(output[0], box, self._min_score)


def decode(people: NDArray[np.float32], box: Letterbox, min_score: float) -> PoseFrame:
    """Turn the network's output into poses in pixels of the frame.

    Args:
        people: (6, 56) float32.
        box: where the frame lies in the input.
        min_score: people below this score are left out.
    """
    people = people[people[:, 55] >= min_score]
    people = people[np.argsort(-people[:, 55], kind="stable")]
    height, width = box.canvas
    joints = people[:, :51].reshape(-1, 17, 3)[..., [1, 0, 2]] * np.array([width, height, 1], np.float32)
    boxes = people[:, [52, 51, 54, 53]] * np.array([width, height, width, height], np.float32)
    keypoints = box.keypoints_to_frame(joints.astype(np.float32))
    keypoints[..., :2] += PIXEL_CENTRE
    return PoseFrame(boxes=box.boxes_to_frame(boxes), scores=people[:, 55], keypoints=keypoints)
