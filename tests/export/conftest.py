"""A network small enough to be exported in seconds, and frames for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")
pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed; pip install 'gcpose-trt[export]'")
import cv2  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from gcpose_trt.export import ExportReport, export_model  # noqa: E402
from gcpose_trt.model import GCPoseRCNN  # noqa: E402
from tests.support.networks import build_tiny  # noqa: E402

Image = NDArray[np.uint8]


@pytest.fixture(scope="session")
def frames() -> list[Image]:
    """Frames of smooth blobs, of several shapes."""
    rng = np.random.default_rng(4)
    shapes = [(90, 120), (120, 90), (100, 100)]
    coarse = [rng.integers(0, 255, (7, 9, 3)).astype(np.uint8) for _ in shapes]
    return [cv2.resize(c, (w, h), interpolation=cv2.INTER_CUBIC) for c, (h, w) in zip(coarse, shapes, strict=True)]


@pytest.fixture
def tiny() -> GCPoseRCNN:
    """A fresh network, which the test may change."""
    return build_tiny()


@dataclass(frozen=True)
class Exported:
    """A network, its files, and what the exporter said of them."""

    model: GCPoseRCNN
    folder: Path
    report: ExportReport
    lines: tuple[str, ...]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, frames: list[Image]) -> Exported:
    """The tiny network exported at dynamic size."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny") / "made" / "on the way"
    lines: list[str] = []
    model = build_tiny()
    report = export_model(model, folder, images=frames, progress=lines.append)
    return Exported(model, folder, report, tuple(lines))
