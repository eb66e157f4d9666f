"""Looking for a GPU and for memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gcpose_trt.engine import machine
from gcpose_trt.engine.machine import MIB, Machine, Needs, check_memory, estimate
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.engine_record import Gpu
from tests.support.tensorrt_standin import FOLDER

GPU = Machine(Gpu("Orin", "8.7"), None, "12.6", 8192 * MIB, 4096 * MIB, False)
CODE = """
import json
from dataclasses import asdict
from gcpose_trt.engine.machine import find_gpu
from gcpose_trt.errors import GcposeError
try:
    print(json.dumps(asdict(find_gpu())))
except GcposeError as error:
    print(json.dumps(str(error)))
"""


def look(folder: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
    return json.loads(subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True).stdout)


def test_a_gpu_of_the_stand_in_driver(native: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = look(native, monkeypatch)
    assert isinstance(found, dict)
    assert found["gpu"] == {"name": "Stand-in GPU", "compute_capability": "8.7"}
    assert (found["cuda"], found["gpu_total"], found["shared_memory"]) == ("12.6", 32 << 30, False)


@pytest.mark.parametrize(
    ("code", "text"), [(100, "sees no GPU"), (999, "does not start (CUDA error 999)"), (3, "CUDA error 3")]
)
def test_a_driver_that_does_not_start(
    code: int, text: str, native: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"GPU_NAME": '"x"', "MAJOR": 1, "MINOR": 1, "MEMORY": 1, "INTEGRATED": 0, "INIT": code}
    options = [f"-D{name}={value}" for name, value in values.items()]
    source = str(FOLDER / "native" / "driver.c")
    subprocess.run(["cc", "-shared", "-fPIC", *options, "-o", tmp_path / "libcuda.so.1", source], check=True)
    message = look(tmp_path, monkeypatch)
    assert isinstance(message, str)
    assert text in message


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(machine.ctypes, "CDLL", missing)
    for jetson, remedy in ((False, "install NVIDIA's driver"), (True, "install JetPack")):
        monkeypatch.setattr(machine, "is_jetson", lambda jetson=jetson: jetson)
        with pytest.raises(GcposeError, match="no NVIDIA driver") as caught:
            machine.find_gpu()
        assert remedy in str(caught.value)
        assert "gcpose-trt doctor" in str(caught.value)


def test_estimates_follow_their_causes() -> None:
    usual = estimate(100 * MIB, 800 * 1216, 1, None, False)
    assert estimate(200 * MIB, 800 * 1216, 1, None, False).host > usual.host
    assert estimate(100 * MIB, 800 * 1216, 2, None, False).gpu > usual.gpu
    low = estimate(100 * MIB, 800 * 1216, 1, None, True)
    assert low.host < usual.host
    assert low.gpu < usual.gpu
    # mobile must not be refused on a board of 4 GiB with 2 of them free.
    mobile = estimate(24 * MIB, 512 * 512, 1, None, True)
    assert mobile.host + mobile.gpu < 2048 * MIB
    without = estimate(255 * MIB, 800 * 1216, 1, None, False, gpu=False)
    assert without.gpu == 0
    assert without.host < 1055 * MIB  # what r50 took


@pytest.mark.parametrize("low", [False, True])
def test_too_little_memory(low: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: 1000 * MIB)
    needs = Needs(900 * MIB, 5000 * MIB)
    shared = replace(GPU, shared_memory=True)
    messages = []
    for unit in (GPU, shared):
        with pytest.raises(GcposeError) as caught:
            check_memory(needs, unit, low)
        messages.append(str(caught.value))
    assert "4.9 GiB of GPU memory and 4.0 GiB are free on Orin" in messages[0]
    assert "5.8 GiB of memory and 1.0 GiB are free" in messages[1]
    assert all("close other programs" in message for message in messages)
    assert all(("--low-memory" in message) != low for message in messages)
    with pytest.raises(GcposeError, match=r"1\.1 GiB of memory and 1\.0 GiB are free"):
        check_memory(Needs(1100 * MIB, 0), None, low)


def test_enough_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: 1000 * MIB)
    check_memory(Needs(900 * MIB, 4000 * MIB), GPU, False)
    check_memory(Needs(900 * MIB, 5000 * MIB), replace(GPU, gpu_free=None), False)  # 8 GiB in all
    monkeypatch.setattr(machine, "free_memory", lambda: None)
    check_memory(Needs(900 * MIB, 4000 * MIB), GPU, False)


def test_memory_of_this_machine() -> None:
    free = machine.free_memory()
    assert free is None or free > MIB
