"""The CPU shim: threads that wait for each other, warp operations, shared memory, half precision."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gcpose_trt.plugins.sources import source_folder
from tests.plugins.native import WARNINGS, require_gxx

CHECKS = Path(__file__).with_name("shim_checks.cu")


@pytest.fixture(scope="module")
def checks_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("shim") / "checks.so"
    flags = ["-std=c++17", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-DGCPOSE_CPU", f"-I{source_folder()}"]
    command = [require_gxx(), *flags, *WARNINGS, "-x", "c++", str(CHECKS), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def checks(checks_path: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(checks_path))


def address(array: NDArray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


@pytest.mark.parametrize(("function", "dtype"), [("sumInts", np.int32), ("sumDoubles", np.float64)])
def test_reduction_of_blocks(checks: ctypes.CDLL, function: str, dtype: type) -> None:
    values = np.arange(1000, dtype=dtype)
    sums = np.zeros(3, dtype)
    assert getattr(checks, function)(address(values), address(sums), len(values)) == 0
    expected = [sum(values[i] for i in range(1000) if i // 128 % 3 == block) for block in range(3)]
    assert sums.tolist() == expected


def test_warp_operations(checks: ctypes.CDLL) -> None:
    out = np.zeros(257, np.int32)
    assert checks.warps(address(out)) == 0
    rows = out[:256].reshape(8, 32).tolist()
    lanes = range(32)
    assert rows[0] == [5] * 32
    assert rows[1] == [lane + 3 if lane + 3 < 32 else lane for lane in lanes]
    assert rows[2] == [lane - 3 if lane >= 3 else lane for lane in lanes]
    assert rows[3] == [lane ^ 1 for lane in lanes]
    assert rows[4] == [lane // 8 * 8 + 1 for lane in lanes]
    assert rows[5] == [np.int32(np.uint32(sum(1 << lane for lane in lanes if lane % 3 == 0)))] * 32
    assert rows[6] == [sum(range(16))] * 16 + [sum(range(16, 32))] * 16
    assert sorted(rows[7]) == list(lanes)
    assert out[256] == 32


def test_barriers_go_on_without_threads_that_returned(checks: ctypes.CDLL) -> None:
    out = np.full(100, -1, np.int32)
    assert checks.returns(address(out)) == 0
    assert out.tolist() == list(range(100))


def test_shared_memory_is_poisoned_for_every_block(checks: ctypes.CDLL) -> None:
    out = np.zeros(32, np.uint32)
    assert checks.unwritten(address(out)) == 0
    assert (out == 0xFFFFFFFF).all()
    assert np.isnan(out.view(np.float32)).all()


def test_threads_that_wait_for_ever_are_reported(checks_path: Path) -> None:
    code = f"import ctypes; ctypes.CDLL({str(checks_path)!r}).deadlock((ctypes.c_int * 2)())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "wait for each other for ever" in done.stderr


@pytest.mark.parametrize(
    ("blocks", "rows", "threads", "shared_bytes"),
    [(0, 1, 8, 32), (1, 65536, 8, 32), (1, 1, 1025, 32), (1, 1, 0, 32), (1, 1, 8, 300_000)],
)
def test_launches_that_a_gpu_refuses(
    checks: ctypes.CDLL, blocks: int, rows: int, threads: int, shared_bytes: int
) -> None:
    out = np.zeros(16, np.uint32)
    invalid_configuration = 9
    assert checks.launchOf(blocks, rows, threads, ctypes.c_size_t(shared_bytes), address(out)) == invalid_configuration
    assert not out.any()


def test_every_half_survives(checks: ctypes.CDLL) -> None:
    halves = np.arange(65536, dtype=np.uint16)
    values = np.empty(65536, np.float32)
    checks.fromHalf(address(halves), address(values), len(halves))
    np.testing.assert_array_equal(values, halves.view(np.float16).astype(np.float32))
    back = np.empty_like(halves)
    checks.toHalf(address(values), address(back), len(halves))
    numbers = ~np.isnan(values)
    assert np.array_equal(back[numbers], halves[numbers])
    assert np.isnan(back.view(np.float16)[~numbers]).all()


def test_halves_are_rounded_to_the_nearest_and_ties_to_even(checks: ctypes.CDLL) -> None:
    finite = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    between = (finite[1:] + finite[:-1]) / 2
    edges = np.array([65519.996, 65520, 1e9, 2.0**-25, np.nextafter(np.float32(2.0**-25), np.float32(1)), 1e-30])
    values = np.concatenate(
        [between, np.nextafter(between, np.float32(0)), np.nextafter(between, np.float32(1e9)), edges]
    )
    values = np.concatenate([values, -values]).astype(np.float32)
    halves = np.empty(len(values), np.uint16)
    checks.toHalf(address(values), address(halves), len(values))
    with np.errstate(over="ignore"):
        assert np.array_equal(halves, values.astype(np.float16).view(np.uint16))
