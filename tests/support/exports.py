"""The tiny network exported once for all the processes that test side by side: tracing takes longer than most tests."""

from __future__ import annotations

import dataclasses
import pickle
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gcpose_trt.export import ExportReport, export_model
from gcpose_trt.model import GCPoseRCNN
from tests.support.networks import build_tiny
from tests.support.once import made_once

Image = NDArray[np.uint8]
_FOLDER = Path("made") / "on the way"


@dataclass(frozen=True)
class Exported:
    """A network, its files, and what the exporter said of them."""

    model: GCPoseRCNN
    folder: Path
    report: ExportReport
    lines: tuple[str, ...]


def blobs() -> list[Image]:
    """Return frames of smooth blobs, of several shapes: the tiny network finds people in them."""
    rng = np.random.default_rng(4)
    shapes = [(90, 120), (120, 90), (100, 100)]
    coarse = [rng.integers(0, 255, (7, 9, 3)).astype(np.uint8) for _ in shapes]
    return [cv2.resize(c, (w, h), interpolation=cv2.INTER_CUBIC) for c, (h, w) in zip(coarse, shapes, strict=True)]


def _export(path: Path) -> None:
    torch.set_num_threads(1)
    lines: list[str] = []
    report = export_model(build_tiny(), path / _FOLDER, images=blobs(), progress=lines.append)
    (path / "outcome").write_bytes(pickle.dumps((report, tuple(lines))))


def export_tiny(factory: pytest.TempPathFactory) -> Exported:
    """Return the tiny network exported at dynamic size, and checked."""
    path = made_once(factory, "tiny_exported", _export)
    report, lines = pickle.loads((path / "outcome").read_bytes())
    folder = path / _FOLDER
    report = dataclasses.replace(report, detector=folder / report.detector.name, pose=folder / report.pose.name)
    return Exported(build_tiny(), folder, report, lines)
