"""One server for the tests of this folder, and pictures to ask it about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.triton.server import TritonServer, environment, serving
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.estimator import PoseEstimator
from tests.triton.server.asking import Picture, export, pictures

THREADS = 1


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model, exported as a user would; skips where there is no server to read it."""
    try:
        environment()
    except GcposeError as error:
        pytest.skip(str(error))
    return export(tmp_path_factory.mktemp("triton") / "repository", THREADS)


@pytest.fixture(scope="session")
def server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A server of that repository."""
    with serving(repository, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def estimator() -> Iterator[PoseEstimator]:
    """The same model in this process."""
    with PoseEstimator("mobile", threads=THREADS) as opened:
        yield opened


@pytest.fixture(scope="session")
def asked(estimator: PoseEstimator) -> dict[str, Picture]:
    """Encoded pictures by name, with what the estimator says of each."""
    return pictures(estimator)
