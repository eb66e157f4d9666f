"""A network small enough to be exported in seconds, and frames for it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")
pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed; pip install 'gcpose-trt[export]'")
from numpy.typing import NDArray  # noqa: E402

from gcpose_trt.model import GCPoseRCNN  # noqa: E402
from tests.support.exports import Exported, blobs, export_tiny  # noqa: E402
from tests.support.networks import build_tiny  # noqa: E402

Image = NDArray[np.uint8]


@pytest.fixture(scope="session")
def frames() -> list[Image]:
    """Frames of smooth blobs, of several shapes."""
    return blobs()


@pytest.fixture
def tiny() -> GCPoseRCNN:
    """A fresh network, which the test may change."""
    return build_tiny()


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The tiny network exported at dynamic size."""
    return export_tiny(tmp_path_factory)
