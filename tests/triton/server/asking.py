"""Requests to a server of an exported model, and pictures of which the answer is known."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import SAMPLE_CLIP, read_frames
from benchmarks.triton.server import TritonServer
from gcpose_trt.cli import main
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.estimator import PoseEstimator
from gcpose_trt.video.images import decode_image

# Long enough for requests that are sent together to go through the network together on a busy machine.
QUEUE_DELAY_US = 50_000
# Frames that go through the network together may differ from one alone in their last bits.
BATCHED_PIXELS, BATCHED_SCORE = 0.1, 1e-3


@dataclass(frozen=True)
class Picture:
    """An encoded picture, its pixels (H, W, 3) BGR, and the people in it."""

    data: bytes
    pixels: NDArray[np.uint8]
    poses: PoseFrame


def export(folder: Path, threads: int) -> Path:
    """Export the shipped model for the Python backend and set its threads where the README says; return the folder."""
    arguments = ["--runtime", "python", "--queue-delay-us", str(QUEUE_DELAY_US)]
    assert main(["export-triton", "mobile", "--output", str(folder), *arguments]) == 0
    for model in ("gcpose_detector", "gcpose_pose"):
        config = folder / model / "config.pbtxt"
        text = config.read_text()
        head, asked, tail = text.partition('key: "threads"\n  value {\n    string_value: "0"')
        assert asked, text
        config.write_text(head + asked.replace('"0"', f'"{threads}"') + tail)
    return folder


def pictures(estimator: PoseEstimator) -> dict[str, Picture]:
    """Return frames of the sample clip as JPEG and PNG, in several sizes, some of them upright."""
    first, second = read_frames(SAMPLE_CLIP, 2)
    shown = {
        "whole.jpg": first,
        "whole.png": second,
        "small.jpg": cv2.resize(second, (333, 251)),
        "upright.jpg": np.ascontiguousarray(first[:, 200:600]),
        "dark.png": np.zeros((64, 48, 3), np.uint8),
    }
    found = {}
    for name, pixels in shown.items():
        data = cv2.imencode(Path(name).suffix, pixels)[1].tobytes()
        decoded = decode_image(data, name)
        found[name] = Picture(data, decoded, estimator(decoded))
    assert max(len(picture.poses) for picture in found.values()) > 0
    assert len(found["dark.png"].poses) == 0
    return found


class Client:
    """A client of one protocol.

    Args:
        kind: "http" or "grpc".
        server: whom to ask.
    """

    def __init__(self, kind: str, server: TritonServer) -> None:
        import tritonclient.grpc
        import tritonclient.http

        self._module: ModuleType = tritonclient.grpc if kind == "grpc" else tritonclient.http
        self._client = self._module.InferenceServerClient(server.grpc if kind == "grpc" else server.http)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def infer(self, model: str, name: str, value: NDArray[Any], kind: str, **parameters: Any) -> list[PoseFrame]:
        """Return the people of each picture of a request; raises the client's `InferenceServerException`."""
        tensor = self._module.InferInput(name, list(value.shape), kind)
        tensor.set_data_from_numpy(value)
        answer = self._client.infer(model, [tensor], parameters=parameters or None)
        return unpack({name: answer.as_numpy(name) for name in ("count", "boxes", "scores", "keypoints")})

    def picture(self, *data: bytes, **parameters: Any) -> list[PoseFrame]:
        """Ask about encoded pictures, in one request."""
        return self.infer("gcpose", "image", np.array([[each] for each in data], object), "BYTES", **parameters)

    def frame(self, pixels: NDArray[np.uint8], **parameters: Any) -> PoseFrame:
        """Ask about a raw frame."""
        return self.infer("gcpose_frame", "frame", pixels[None], "UINT8", **parameters)[0]


def unpack(outputs: Mapping[str, NDArray[Any]]) -> list[PoseFrame]:
    """Return the people of each picture of an answer, and check that rows beyond are zero."""
    poses = []
    for row, count in enumerate(outputs["count"][:, 0]):
        arrays = [outputs[name][row] for name in ("boxes", "scores", "keypoints")]
        assert not any(array[count:].any() for array in arrays)
        poses.append(PoseFrame(*(array[:count] for array in arrays)))
    return poses


def assert_near(found: PoseFrame, wanted: PoseFrame) -> None:
    """Check people of a frame that went through the network with others."""
    assert len(found) == len(wanted)
    np.testing.assert_allclose(found.boxes, wanted.boxes, rtol=0, atol=BATCHED_PIXELS)
    np.testing.assert_allclose(found.scores, wanted.scores, rtol=0, atol=BATCHED_SCORE)
    np.testing.assert_allclose(found.keypoints[..., :2], wanted.keypoints[..., :2], rtol=0, atol=BATCHED_PIXELS)
    np.testing.assert_allclose(found.keypoints[..., 2], wanted.keypoints[..., 2], rtol=0, atol=BATCHED_SCORE)


def run(command: list[str], folder: Path) -> bytes:
    """Run a command of the README in a folder; return what it prints."""
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
