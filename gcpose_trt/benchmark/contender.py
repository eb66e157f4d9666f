"""What is measured: a model of ours or a peer, and what both offer to the measurements."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.types import PoseFrame

Image = NDArray[np.uint8]

# Parts of the time from a frame's bytes to the annotated picture, in order. Who cannot tell two of them apart leaves
# one out; `network` is for a peer that is one graph.
STAGES = ("decode", "preprocess", "upload", "network", "detector", "pose", "download", "postprocess", "draw")
# What "network only" counts.
NETWORK_STAGES = ("network", "detector", "pose")


@dataclass(frozen=True)
class ContenderSpec:
    """Which contender, in words that fit a command line and a report.

    Attributes:
        model: of ours: a shipped name, a folder, a file, a folder of engines. Of a peer: its weights.
        peer: name of the adapter ("movenet"), or "" for ours.
        backend: as `PoseEstimator` takes it; a peer's own word, or "".
        precision: "fp32", "fp16", "int8"; None: the backend's own.
        size: "512" (long side), "384x512" (H x W); None: the model's own.
        threads: CPU threads of one call; None: all.
        device: "cpu", "cuda:0"; None: the backend's own.
        min_score: people below are left out; None: the model's own.
        options: a peer's further settings, by name.
    """

    model: str
    peer: str = ""
    backend: str = "auto"
    precision: str | None = None
    size: str | None = None
    threads: int | None = None
    device: str | None = None
    min_score: float | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Short digest: the same words give the same id in every run."""
        words = json.dumps(asdict(self), sort_keys=True, default=dict)
        return hashlib.sha256(words.encode()).hexdigest()[:10]

    @property
    def label(self) -> str:
        """What people read: "mobile int8 @448", "ultralytics yolo11n-pose"; never a folder of the machine."""
        model, peer = (words.rstrip("/").rsplit("/", 1)[-1] for words in (self.model, self.peer.removesuffix(".py")))
        if peer:
            # Weights that bear the peer's name say enough; others tell two of the same peer apart.
            model = model.rsplit(".", 1)[0]
            model = (model if peer in model else f"{peer} {model}").strip()
        parts = [model]
        if self.backend not in ("", "auto", "onnxruntime"):
            parts.append(self.backend)
        if self.precision:
            parts.append(self.precision)
        if self.device:
            parts.append(self.device)
        if self.size:
            parts.append(f"@{self.size}")
        return " ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` takes."""
        return asdict(self) | {"options": dict(self.options)}

    @classmethod
    def from_dict(cls, words: Mapping[str, Any]) -> ContenderSpec:
        """Rebuild a spec from `to_dict`'s record."""
        return cls(**words)


@dataclass(frozen=True)
class ContenderInfo:
    """What a contender says of itself once it is open.

    Attributes:
        backend, precision, device: what it really runs with.
        version: of the library behind it: "onnxruntime 1.32.0".
        size: size rule in words: "long side 512", "384x512".
        weights_sha256: digest of its weights, or of its file.
        files: paths that make up the model, for their size in bytes.
        licence: of code and weights, as far as known: "Apache-2.0".
        rank: how evaluation orders its people, "box" or "box*keypoints".
        keypoint_threshold: confidence from which a joint is worth drawing.
        keypoint_names: None for COCO's 17.
    """

    backend: str
    precision: str
    device: str
    version: str
    size: str
    weights_sha256: str
    files: Sequence[str]
    licence: str = ""
    rank: str = "box"
    keypoint_threshold: float = 0.05

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; the files become their number of bytes, because paths are of one machine only."""
        from pathlib import Path

        record = asdict(self)
        record["bytes"] = sum(Path(name).stat().st_size for name in record.pop("files"))
        return record


class Contender(Protocol):
    """One thing that is measured, open and ready. Runs in a process of its own."""

    info: ContenderInfo

    def run(self, frame: Image) -> tuple[PoseFrame, dict[str, float]]:
        """Find the people of one frame.

        Args:
            frame: (H, W, 3) BGR uint8, on the host.

        Returns:
            The poses in pixels of the frame, on the host, and the milliseconds of the stages (keys of `STAGES` but
            "decode" and "draw") that it can tell apart; asynchronous work has ended when it returns.
        """

    def close(self) -> None:
        """Free everything."""


@runtime_checkable
class BatchContender(Protocol):
    """A contender that also takes several frames at once."""

    def run_batch(self, frames: Sequence[Image]) -> list[PoseFrame]:
        """Find the people of each frame, all frames in one call of the network as far as it can."""


@runtime_checkable
class PeopleContender(Protocol):
    """A contender that can be made to look at a given number of people."""

    def run_people(self, frame: Image, people: int) -> dict[str, float]:
        """Do the work of one frame with that many people in it.

        Args:
            frame: (H, W, 3) BGR uint8.
            people: 0 or more.

        Returns:
            Milliseconds of the stages, as `Contender.run` does.
        """


class Adapter(Protocol):
    """A module in benchmarks/peers, or a file of the user's own, that makes a peer a contender.

    Attributes:
        TITLE: name for people: "MoveNet MultiPose Lightning".
        NEEDS: what `ContenderSpec.model` must be, in one line: "its ONNX file, ...".
    """

    TITLE: str
    NEEDS: str

    @staticmethod
    def missing(spec: ContenderSpec) -> str | None:
        """Return why this peer cannot run here (package or weights missing), ending with what to do; None if it can.

        Imports nothing heavy.
        """

    @staticmethod
    def open(spec: ContenderSpec) -> Contender:
        """Open the peer.

        Raises:
            GcposeError: the weights are not its own, an option is unknown.
        """
