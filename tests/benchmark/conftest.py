"""What tests of runs share: a short clip and a peer that needs nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

FAKE = Path(__file__).with_name("fake_peer.py")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six frames (48, 64, 3), each of another grey."""
    folder = tmp_path_factory.mktemp("clip")
    for number in range(6):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((48, 64, 3), 20 * number, np.uint8))
    return folder


@pytest.fixture(scope="session")
def fake() -> str:
    """The fake peer as the command line names it; options follow after commas."""
    return f"{FAKE}=nothing"
