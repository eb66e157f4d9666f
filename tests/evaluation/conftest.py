"""Fixtures of the small data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.evaluation.small_coco import HEIGHT, WIDTH, make_document, make_results


@pytest.fixture
def document() -> dict[str, Any]:
    """The annotations of the small data set."""
    return make_document()


@pytest.fixture
def truth_as_results(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Its people, as an estimator that makes no mistake would find them."""
    return make_results(document)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with its three images; the image's id is the value of every pixel."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in (1, 2, 3):
        cv2.imwrite(str(folder / f"{number:04d}.png"), np.full((HEIGHT, WIDTH, 3), number, np.uint8))
    return folder
