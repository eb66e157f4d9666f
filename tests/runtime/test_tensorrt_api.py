"""The door to TensorRT: on stand-ins of five generations, and on the real lean and RTX runtimes where installed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime import tensorrt_api
from tests.support.tensorrt_standin import GENERATIONS, python_path

PROBES = """
import json
from gcpose_trt.runtime.tensorrt_api import load
trt = load()
print(json.dumps([trt.version, trt.supports_int64, trt.strongly_typed_flag is not None,
                  trt.explicit_batch_flag is not None, sorted(trt.weakly_typed_flags), trt.missing_plugins()]))
"""


def in_generation(generation: str, code: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run code in a process that finds a stand-in as `tensorrt`; return what it prints."""
    monkeypatch.setenv("PYTHONPATH", python_path(generation))
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize("generation", GENERATIONS)
def test_probes(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    version, int64, strong, explicit, weak, missing = json.loads(in_generation(generation, PROBES, monkeypatch))
    major = int(generation.split(".")[0])
    assert version.startswith(generation)
    assert int64 == (major >= 10)
    assert strong == (major >= 10)
    assert explicit == (major < 11)
    assert weak == (["FP16", "INT8"] if major < 11 else [])
    assert missing == ["MultiLevelRoiAlign", "GcmAttention", "Nms", "KeypointDecode"]


def test_refused_plan_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.tensorrt_api import load
try:
    load().deserialize(b"nonsense", "x.engine")
except GcposeError as error:
    print(error)
"""
    text = in_generation("10.3", code, monkeypatch)
    assert "refuses x.engine (Serialization assertion magicTagRead" in text
    assert "build the engine again" in text


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_api, "MODULES", {"tensorrt": "no_such_tensorrt"})
    for jetson, hint in ((False, "pip install tensorrt-cu13"), (True, "sudo apt install python3-libnvinfer")):
        monkeypatch.setattr(tensorrt_api, "is_jetson", lambda jetson=jetson: jetson)
        with pytest.raises(GcposeError, match="is not installed") as caught:
            tensorrt_api.load()
        assert hint in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("raise ImportError('libnvinfer.so.10: cannot open shared object file')", "cannot be loaded (libnvinfer.so.10"),
        ("raise RuntimeError('CUDA mismatch\\nmore')", "cannot be loaded (CUDA mismatch)"),
        ("import no_such_library_of_tensorrt", "cannot be loaded (No module named"),
        ("", "is not installed"),  # a folder of that name in the way
    ],
)
def test_broken_installation(body: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_tensorrt.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(tensorrt_api, "MODULES", {"tensorrt": "broken_tensorrt"})
    with pytest.raises(GcposeError) as caught:
        tensorrt_api.load()
    sys.modules.pop("broken_tensorrt", None)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


REAL = """
import {name} as module
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.tensorrt_api import TensorRT
trt = TensorRT(module)
assert trt.missing_plugins() == ["MultiLevelRoiAlign", "GcmAttention", "Nms", "KeypointDecode"]
assert trt.supports_int64
assert [trt.dtype_name(getattr(module.DataType, kind)) for kind in ("HALF", "INT64")] == ["float16", "int64"]
"""
REFUSAL = """
try:
    trt.deserialize(b"nonsense" * 64, "x.engine")
except GcposeError as error:
    print(error)
assert trt.log.errors
"""


# In processes of their own: both libraries in one end it. The lean runtime's Runtime needs a driver, or ends it too.
@pytest.mark.parametrize(("name", "code"), [("tensorrt_rtx", REAL + REFUSAL), ("tensorrt_lean", REAL)])
def test_real_runtimes_without_a_gpu(name: str, code: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    result = subprocess.run([sys.executable, "-c", code.format(name=name)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    if code.endswith(REFUSAL):
        assert len(result.stdout.splitlines()) == 1
        assert "refuses x.engine (" in result.stdout or "cannot start (" in result.stdout


def test_log_keeps_the_first_error() -> None:
    log = tensorrt_api.Log()
    heard: list[str] = []
    log.listener = lambda severity, text: heard.append(severity)
    log.add("info", "hello")
    assert log.reason() == "TensorRT gave no reason"
    log.add("internal error", "the\n  cause")
    log.add("error", "its consequence")
    assert log.reason() == "the cause"
    assert log.reason(1) == "its consequence"
    assert heard == ["info", "internal error", "error"]
