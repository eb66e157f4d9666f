"""A tiny model that every test of this folder may share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bundles import make_bundle


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the synthetic model, any input size."""
    return make_bundle(tmp_path_factory.mktemp("tiny"))
