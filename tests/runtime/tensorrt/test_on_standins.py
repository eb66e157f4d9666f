"""The TensorRT backend from frame to poses, without a GPU: stand-in driver, stand-in TensorRT of each generation."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support import cuda_standin, pycuda_standin, tensorrt_standin

HERE = Path(__file__).parent


def run_cases(standin: Path, file: str, generation: str, binding: str = "cuda-python", **environment: str) -> str:
    """Run a file of cases with pytest on the stand-ins and return what it printed."""
    paths = [tensorrt_standin.python_path(generation)]
    if binding == "pycuda" and find_spec("pycuda") is None:
        paths.append(str(pycuda_standin.FOLDER))
    result = subprocess.run(
        [sys.executable, "-m", "pytest", str(HERE / file), "-q", "-p", "no:cacheprovider", "-p", "no:randomly"],
        env={
            **os.environ,
            "LD_LIBRARY_PATH": str(standin.parent),
            "PYTHONPATH": os.pathsep.join(paths),
            "GCPOSE_TEST_GENERATION": generation,
            "GCPOSE_CUDA": binding,
            "GCPOSE_PLUGINS": "",
            "XDG_CACHE_HOME": str(standin.parent),
            **environment,
        },
        cwd=cuda_standin.REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
    assert " passed" in result.stdout
    return result.stdout


# Each generation once; between them, both bindings, with work done as late or as early as streams allow.
@pytest.mark.parametrize(
    ("generation", "binding", "eager"),
    [
        ("8.5", "cuda-python", ""),
        ("8.6", "cuda-python", "1"),
        ("10.3", "pycuda", ""),
        ("10.16", "pycuda", "1"),
        ("11.4", "cuda-python", ""),
    ],
)
def test_estimator(standin: Path, generation: str, binding: str, eager: str) -> None:
    run_cases(standin, "cases_estimator.py", generation, binding, GCPOSE_STANDIN_EAGER=eager)
