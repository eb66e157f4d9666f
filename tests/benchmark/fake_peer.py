"""An adapter of a peer that finds the middle of the frame, quickly, and fails when it is told to."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import numpy as np

from gcpose_trt.benchmark.contender import ContenderInfo, ContenderSpec
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import PoseFrame

TITLE = "Middle of the frame"
NEEDS = "nothing"


def missing(spec: ContenderSpec) -> str | None:
    """Its own option says whether something is missing."""
    return spec.options.get("missing")


class Middle:
    """Options "raise", "die", "exit": in which call of `run`, counted from 1."""

    def __init__(self, spec: ContenderSpec) -> None:
        self._options = spec.options
        self._calls = 0
        self.info = ContenderInfo(
            backend="fake",
            precision="fp32",
            device="cpu",
            version=f"fake with {spec.threads} threads, OMP {os.environ.get('OMP_NUM_THREADS')}",
            size=spec.size or "any",
            weights_sha256="0" * 64,
            files=[__file__],
        )

    def run(self, frame: Any) -> tuple[PoseFrame, dict[str, float]]:
        """Find one person; print what must not disturb anybody."""
        self._calls += 1
        print('{"value": {"not": "an answer"}}', flush=True)
        os.write(1, b"{ garbage \xff\n")
        if self._due("raise"):
            raise ValueError("the network\nis not in the mood")
        if self._due("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._due("exit"):
            print("cannot allocate the thing", file=sys.stderr, flush=True)
            os._exit(3)
        height, width = frame.shape[:2]
        keypoints = np.full((1, 17, 3), [width / 2, height / 2, 1], np.float32)
        pose = PoseFrame(np.array([[0, 0, width, height]], np.float32), np.ones(1, np.float32), keypoints)
        return pose, {"preprocess": 0.25, "network": 2.0 if self._calls % 2 else 3.0}

    def close(self) -> None:
        """Nothing to free."""

    def _due(self, what: str) -> bool:
        return self._options.get(what) == str(self._calls)


def open(spec: ContenderSpec) -> Middle:  # the name that adapters have
    """Refuse if told to."""
    if "refuse" in spec.options:
        raise GcposeError("it does not want to be opened; ask nicely")
    return Middle(spec)
