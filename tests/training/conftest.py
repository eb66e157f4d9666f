"""Data and recipes for training tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.synthetic import write_dataset


@pytest.fixture(scope="session")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `images/` and `annotations.json`."""
    folder = tmp_path_factory.mktemp("figures")
    write_dataset(folder)
    return folder
