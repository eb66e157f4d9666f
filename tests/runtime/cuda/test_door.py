"""The door to CUDA: the cases of cases_door.py with each binding, on a stand-in driver and on a GPU."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from gcpose_trt.runtime.cuda import BINDINGS
from tests.support import cuda_standin, pycuda_standin

CASES = Path(__file__).parent / "cases_door.py"


def run_cases(environment: dict[str, str]) -> None:
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", str(CASES), *options],
        env={**os.environ, **environment},
        cwd=cuda_standin.REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    assert " passed" in result.stdout


@pytest.mark.parametrize("eager", ["", "1"], ids=["late", "eager"])
@pytest.mark.parametrize("binding", [*BINDINGS, "pycuda-standin"])
def test_on_the_standin_driver(standin: Path, binding: str, eager: str) -> None:
    environment = {
        "LD_LIBRARY_PATH": str(standin.parent),
        "GCPOSE_TEST_STANDIN": "1",
        "GCPOSE_STANDIN_EAGER": eager,
        "GCPOSE_CUDA": binding.removesuffix("-standin"),
    }
    if binding == "pycuda" and find_spec("pycuda") is None:
        pytest.skip("pycuda is not installed (it has no wheels: it needs nvcc to build)")
    if binding == "pycuda-standin":
        paths = [str(pycuda_standin.FOLDER), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    run_cases(environment)


def gpus() -> int:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    return count.value if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 else 0


@pytest.mark.gpu
@pytest.mark.parametrize("binding", [*BINDINGS])
def test_on_a_gpu(binding: str) -> None:
    if gpus() == 0:
        pytest.skip("no NVIDIA GPU")
    if find_spec({"cuda-python": "cuda", "pycuda": "pycuda"}[binding]) is None:
        pytest.skip(f"{binding} is not installed")
    run_cases({"GCPOSE_CUDA": binding})


def failure(code: str, standin: Path, **environment: str) -> str:
    result = cuda_standin.run(standin, code, environment=environment)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 1
    return result.stdout


OPEN = """
import os, sys
sys.setdlopenflags(os.RTLD_LAZY)  # pycuda refers to the whole driver, which the stand-in is not
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.cuda import open_device
try:
    open_device()
except GcposeError as error:
    print(error)
"""


@pytest.mark.parametrize("binding", [*BINDINGS])
def test_no_gpu(standin: Path, binding: str) -> None:
    paths = "" if binding == "cuda-python" or find_spec("pycuda") else str(pycuda_standin.FOLDER)
    line = failure(
        f"import sys; sys.path[:0] = [{paths!r}]\n" + OPEN, standin, GCPOSE_STANDIN_DEVICES="0", GCPOSE_CUDA=binding
    )
    assert "no NVIDIA GPU that CUDA can use" in line
    assert "or use backend onnxruntime" in line


def test_no_driver(tmp_path: Path) -> None:
    if cuda_standin.missing():
        pytest.skip(str(cuda_standin.missing()))
    if gpus():
        pytest.skip("this machine has a driver")
    line = failure(OPEN, tmp_path / "libcuda.so.1")
    assert line.startswith("no NVIDIA driver can be loaded (")
    assert "gcpose-trt doctor" in line


def test_no_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    from gcpose_trt.errors import GcposeError
    from gcpose_trt.runtime import cuda

    for module in ("cuda", "cuda.bindings", "pycuda", "pycuda.driver"):
        monkeypatch.setitem(sys.modules, module, None)
    for module, _ in BINDINGS.values():
        monkeypatch.delitem(sys.modules, f"gcpose_trt.runtime.cuda.{module}", raising=False)
    monkeypatch.delenv(cuda.CHOICE, raising=False)
    with pytest.raises(GcposeError, match=r"neither cuda-python nor pycuda.*pip install 'gcpose-trt\[tensorrt\]'"):
        cuda.load_driver()


def test_the_pycuda_standin_has_pycudas_names_only(standin: Path) -> None:
    if find_spec("pycuda") is None:
        pytest.skip("pycuda is not installed (it has no wheels: it needs nvcc to build)")
    code = f"""
import importlib.util, os, sys
sys.setdlopenflags(os.RTLD_LAZY)
import pycuda.driver as real
path = {str(pycuda_standin.FOLDER / "pycuda" / "driver.py")!r}
spec = importlib.util.spec_from_file_location("standin", path)
module = importlib.util.module_from_spec(spec)
sys.modules["standin"] = module
spec.loader.exec_module(module)
for name, value in vars(module).items():
    if getattr(value, "__module__", "") == "standin" and not name.startswith("_"):
        members = vars(value) if isinstance(value, type) else ()
        owner = getattr(real, name)
        missing = [m for m in members if not m.startswith("_") and m != "valid" and not hasattr(owner, m)]
        missing = [m for m in missing if m != "handle"]
        assert not missing, (name, missing)
print("same")
"""
    result = cuda_standin.run(standin, code)
    assert result.stdout == "same\n", result.stderr
