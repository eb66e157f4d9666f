"""From pictures to people inside a server, through two models of that server: `PoseEstimator`'s own way in between.

Knows nothing of Triton: whoever calls says how to reach the two models.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import KEYPOINTS, PoseFrame
from gcpose_trt.runtime.backends import Detections
from gcpose_trt.runtime.estimator import size_rule
from gcpose_trt.runtime.halves import CHUNK, estimate
from gcpose_trt.runtime.info import ModelInfo
from gcpose_trt.runtime.preprocess import Image, SizeRule, fit, parse_size

DETECTOR_OUTPUTS = ("p2", "boxes", "scores", "count")


class Infer(Protocol):
    """How the other models of the server are reached."""

    def __call__(self, model: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> Mapping[str, Any]:
        """Run a model.

        Args:
            model: its name.
            inputs: by name; arrays, or what an earlier call returned as "p2".
            outputs: names of the wanted ones.

        Returns:
            The outputs by name: arrays, but "p2" may be in the server's own type, so that it is not copied.

        Raises:
            GcposeError: the model fails.
        """


@dataclass(frozen=True)
class Settings:
    """What the models that clients call are to know; kept as text in their `config.pbtxt`.

    Attributes:
        info: the model's own defaults.
        detector: name of the model that finds people.
        pose: name of the model that finds their joints.
        size: how large frames are for the network, as `parse_size` takes it; None is the model's own.
        min_score: people below this score are left out, where a request does not say it.
        max_people: the best so many are kept, where a request does not say it.
        batch: frames that go through the network together, at most.
        batch_limit: the only number of frames that the detector takes, None for any.
        buckets: the only numbers of people that the pose model takes, rising; empty for any.
        int64: the network's sizes and indices are int64; TensorRT before 10 has int32.
    """

    info: ModelInfo
    detector: str
    pose: str
    size: str | None = None
    min_score: float = 0.3
    max_people: int = 100
    batch: int = CHUNK
    batch_limit: int | None = None
    buckets: tuple[int, ...] = ()
    int64: bool = True

    @property
    def rule(self) -> SizeRule:
        """How large frames become.

        Raises:
            GcposeError: `size` is none, or not one that the model takes.
        """
        return size_rule(self.info, parse_size(self.size), self.size, engine=bool(self.buckets))

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str], model: str) -> Settings:
        """Read the parameters of a model's configuration; see `to_parameters`.

        Raises:
            GcposeError: one is missing or out of range.
        """
        try:
            settings = cls(
                info=ModelInfo.from_dict(json.loads(parameters["model"]), f"config.pbtxt of {model}"),
                detector=parameters["detector"],
                pose=parameters["pose"],
                size=parameters["size"] or None,
                batch=int(parameters["batch"]),
                batch_limit=int(parameters["batch_limit"]) or None,
                buckets=tuple(int(count) for count in parameters["buckets"].split()),
                int64=parameters["int64"] == "true",
                **read_limits(parameters),
            )
            settings.rule  # noqa: B018  # a size that is none must fail when the model is loaded
        except (KeyError, ValueError) as error:
            raise GcposeError(
                f"the parameters in config.pbtxt of {model} are incomplete or damaged ({error!r}); export the model "
                "again with: gcpose-trt export-triton"
            ) from error
        return settings


def read_limits(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return "min_score" and "max_people" of the parameters of a request or a model, as far as they are there.

    Raises:
        GcposeError: one is not a number, or out of range.
    """
    limits: dict[str, Any] = {}
    for name, kind, least, most in (("min_score", float, 0.0, 1.0), ("max_people", int, 1, 10**6)):
        if name not in parameters:
            continue
        try:
            value = None if isinstance(parameters[name], bool) else kind(parameters[name])
        except (TypeError, ValueError):
            value = None
        if value is None or not least <= value <= most:
            wanted = "a number from 0 to 1" if kind is float else "a whole number of at least 1"
            raise GcposeError(f"parameter {name} is {parameters[name]!r}; give {wanted}")
        limits[name] = value
    return limits


class ServedBackend:
    """The two halves of a network as models of a server, see `gcpose_trt.runtime.backends.Backend`.

    Args:
        infer: how to reach them.
        settings: what they are.
    """

    name = "triton"
    precision = "fp32"
    device_name = "server"

    def __init__(self, infer: Infer, settings: Settings) -> None:
        self._infer, self._settings = infer, settings
        self._index = np.int64 if settings.int64 else np.int32
        self.info = settings.info
        self.batch_limit = settings.batch_limit

    def detect(self, image: NDArray[np.uint8], image_size: NDArray[np.int64]) -> Detections:
        """See `Backend.detect`."""
        inputs = {"image": image, "image_size": image_size.astype(self._index)}
        found = self._infer(self._settings.detector, inputs, DETECTOR_OUTPUTS)
        count = np.asarray(found["count"]).reshape(-1).astype(np.int64)
        return Detections(found["p2"], found["boxes"], found["scores"], count)

    def pose(self, p2: Any, boxes: NDArray[np.float32], batch_index: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Backend.pose`; people are filled up to a number that the model takes."""
        most = self._settings.buckets[-1] if self._settings.buckets else len(boxes)
        parts = [
            self._pose(p2, boxes[start : start + most], batch_index[start : start + most])
            for start in range(0, len(boxes), most)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _pose(self, p2: Any, boxes: NDArray[np.float32], batch_index: NDArray[np.int64]) -> NDArray[np.float32]:
        people = len(boxes)
        bucket = next((bucket for bucket in self._settings.buckets if bucket >= people), people)
        inputs = {
            "p2": p2,
            "boxes": np.concatenate([boxes, np.zeros((bucket - people, 4), np.float32)]).astype(np.float32),
            "batch_index": np.concatenate([batch_index, np.zeros(bucket - people, np.int64)]).astype(self._index),
        }
        keypoints: NDArray[np.float32] = self._infer(self._settings.pose, inputs, ["keypoints"])["keypoints"]
        return keypoints[:people]

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Job:
    """What one request asks for.

    Attributes:
        frames: (H, W, 3) BGR uint8 each.
        min_score: leave out people below this score.
        max_people: keep the best so many of each frame.
        poses: one a frame, once it was answered.
        error: why it could not be.
    """

    frames: list[Image]
    min_score: float
    max_people: int
    poses: list[PoseFrame | None] = field(default_factory=list)
    error: GcposeError | None = None


class PoseService:
    """Answers requests that came together.

    Args:
        infer: how to reach the two models.
        settings: what they are.
    """

    def __init__(self, infer: Infer, settings: Settings) -> None:
        self.settings = settings
        self._backend = ServedBackend(infer, settings)
        self._rule = settings.rule

    def job(self, frames: list[Image], parameters: Mapping[str, Any] | None = None) -> Job:
        """Return what a request asks for.

        Args:
            frames: BGR uint8.
            parameters: of the request: "min_score" and "max_people" go before the settings'.

        Raises:
            GcposeError: a parameter is out of range.
        """
        limits = read_limits(parameters or {})
        return Job(
            frames,
            limits.get("min_score", self.settings.min_score),
            limits.get("max_people", self.settings.max_people),
        )

    def answer(self, jobs: Sequence[Job]) -> None:
        """Find the people of every frame of every job, and write them, or the error, into the job.

        Frames that have the same size in the network, and the same limits, go through it together.
        """
        groups: dict[Any, list[tuple[Job, int]]] = {}
        for job in jobs:
            job.poses = [None] * len(job.frames)
            for place, frame in enumerate(job.frames):
                canvas = fit((frame.shape[0], frame.shape[1]), self._rule).canvas
                groups.setdefault((canvas, job.min_score, job.max_people), []).append((job, place))
        most = self._backend.batch_limit or self.settings.batch
        for (_, min_score, max_people), members in groups.items():
            for start in range(0, len(members), most):
                self._together(members[start : start + most], min_score, max_people)

    def _together(self, members: list[tuple[Job, int]], min_score: float, max_people: int) -> None:
        frames = [job.frames[place] for job, place in members]
        try:
            poses, _ = estimate(self._backend, frames, self._rule, min_score, max_people)
        except GcposeError as error:
            for job, _ in members:
                job.error = error
            return
        for (job, place), pose in zip(members, poses, strict=True):
            job.poses[place] = pose


def pack(poses: Iterable[PoseFrame]) -> dict[str, NDArray[Any]]:
    """Return the outputs of one request.

    Args:
        poses: one a frame, B of them.

    Returns:
        "count" (B, 1) int32: people of each frame. "boxes" (B, N, 4) float32, x1, y1, x2, y2; "scores" (B, N) float32;
        "keypoints" (B, N, 17, 3) float32, x, y, confidence: those of the frame with most people N, zero beyond `count`
        in the others. Pixels of the frame.
    """
    frames = list(poses)
    most = max((len(pose) for pose in frames), default=0)
    outputs: dict[str, NDArray[Any]] = {
        "count": np.array([[len(pose)] for pose in frames], np.int32).reshape(-1, 1),
        "boxes": np.zeros((len(frames), most, 4), np.float32),
        "scores": np.zeros((len(frames), most), np.float32),
        "keypoints": np.zeros((len(frames), most, KEYPOINTS, 3), np.float32),
    }
    for row, pose in enumerate(frames):
        for name in ("boxes", "scores", "keypoints"):
            outputs[name][row, : len(pose)] = getattr(pose, name)
    return outputs
