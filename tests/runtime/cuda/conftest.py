"""The stand-in driver, and the bindings that can be tried on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import cuda_standin


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in's libcuda.so.1."""
    reason = cuda_standin.missing()
    if reason:
        pytest.skip(reason)
    return cuda_standin.build(tmp_path_factory.mktemp("cuda_standin"))
