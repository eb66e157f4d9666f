"""Networks that several tests of the model share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from gcpose_trt.model import GCPoseRCNN, LoadReport, build_model, load_checkpoint
from tests.model.seeded import seeded_arrays


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def authors_arrays(shared: Path) -> dict[str, np.ndarray]:
    """A checkpoint of the paper's authors, with the seeded weights."""
    return seeded_arrays(shared / "reference")


@pytest.fixture(scope="session")
def seeded(authors_arrays: dict[str, np.ndarray]) -> tuple[GCPoseRCNN, LoadReport]:
    """R50 with the seeded weights, and the report of loading them. Not to be changed."""
    model = build_model("r50")
    return model, load_checkpoint(model, {"model": authors_arrays})


@pytest.fixture(scope="session")
def r50(seeded: tuple[GCPoseRCNN, LoadReport]) -> GCPoseRCNN:
    """R50 with the seeded weights. Not to be changed."""
    return seeded[0]
