"""Empty networks, built once: filling one is quick, making one is not."""

from __future__ import annotations

import pytest
import torch

from gcpose_trt.model import GCPoseRCNN, build_model


@pytest.fixture(scope="session")
def blank_r50() -> GCPoseRCNN:
    """R50 for loading into; tests may leave anything in it."""
    torch.manual_seed(1)
    return build_model("r50")


@pytest.fixture
def mobile() -> GCPoseRCNN:
    """A fresh `mobile`."""
    torch.manual_seed(1)
    return build_model("mobile")
