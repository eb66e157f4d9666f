"""A tiny model, and the stand-in for the CUDA driver, that every test of this folder may share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import cuda_standin
from tests.support.bundles import make_bundle


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the synthetic model, any input size."""
    return make_bundle(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in's libcuda.so.1."""
    reason = cuda_standin.missing()
    if reason:
        pytest.skip(reason)
    return cuda_standin.build(tmp_path_factory.mktemp("cuda_standin"))
