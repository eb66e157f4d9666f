"""The TensorRT backend from frame to poses, without a GPU: stand-in driver, stand-in TensorRT of each generation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support import cuda_standin, pycuda_standin, tensorrt_standin
from tests.support.bundles import make_bundle
from tests.support.engine_folders import from_bundle

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


@pytest.mark.parametrize("generation", ["8.6", "10.3"])
def test_opening(standin: Path, generation: str) -> None:
    run_cases(standin, "cases_opening.py", generation)


def test_demo_without_a_gpu(tmp_path: Path) -> None:
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("this machine has an NVIDIA driver")
    bundle = make_bundle(tmp_path / "bundle", size=[64, 96], batch=1)
    folder = from_bundle(tmp_path / "engines", bundle)
    command = [
        sys.executable,
        "-m",
        "gcpose_trt",
        "demo",
        "--model",
        str(folder),
        "--output",
        str(tmp_path / "out.mp4"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, cwd=cuda_standin.REPOSITORY, timeout=60)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "no NVIDIA driver can be loaded" in result.stderr or "neither cuda-python nor pycuda" in result.stderr
    assert not (tmp_path / "out.mp4").exists()


def test_no_leak(standin: Path, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", size=[64, 96], batch=1)
    folder = from_bundle(tmp_path / "engines", bundle)
    paths = os.pathsep.join([tensorrt_standin.python_path("10.3")])
    code = f"""
import sys
from benchmarks import leak
from tests.support.cuda_standin import count
sys.argv = ["leak", "--model", {str(folder)!r}, "--frames", "1500"]
assert leak.main() == 0
print([count(what) for what in ("device", "pinned", "streams", "events", "graphs", "contexts", "pushed")])
"""
    result = cuda_standin.run(standin, code, environment={"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"})
    assert result.returncode == 0, result.stdout + result.stderr
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines() if not line.startswith("["))
    assert int(lines["frames"]) >= 1500
    assert int(lines["people"]) > 1000
    before, after = json.loads(lines["gpu_free_mib"])
    assert before == after, "not a byte, on a driver that counts them"
    assert result.stdout.splitlines()[-1] == "[0, 0, 0, 0, 0, 0, 0]"


@pytest.mark.parametrize("binding", ["cuda-python", "pycuda"])
def test_letterbox_kernel(standin: Path, cpu_library: Path, binding: str) -> None:
    run_cases(standin, "cases_letterbox.py", "10.3", binding, GCPOSE_PLUGINS=str(cpu_library))


@pytest.mark.slow
def test_sample_clip_of_the_shipped_model(standin: Path, cpu_library: Path) -> None:
    run_cases(standin, "cases_clip.py", "10.3", GCPOSE_PLUGINS=str(cpu_library), OMP_NUM_THREADS="1")
