"""Memory of this process."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gcpose_trt.benchmark.environment.nvml import Nvml
from gcpose_trt.benchmark.memory import GpuMemory, host_peak


def test_the_peak_goes_up_and_never_down() -> None:
    """64 MiB that are written to are in it, also after they were freed."""
    before = host_peak()
    if before is None:
        pytest.skip("this system does not tell")
    block = bytearray(b"x") * (64 << 20)
    during = host_peak()
    del block
    after = host_peak()
    assert during is not None
    assert after is not None
    # Linux counts pages in batches, one a processor.
    batch = 1 << 20
    assert 10 << 20 < before <= during + batch
    assert 64 << 20 <= during <= after + batch


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    """No file as on macOS, or one without the line as in some sandboxes."""
    assert host_peak(tmp_path / "status") is None
    (tmp_path / "status").write_text("Name:\tpython\nVmSize:\t  100 kB\n")
    assert host_peak(tmp_path / "status") is None
    (tmp_path / "status").write_text("Name:\tpython\nVmHWM:\t  100 kB\nVmRSS:\t 90 kB\n")
    assert host_peak(tmp_path / "status") == 102_400


def library(*cards: list[tuple[int, int | None]]) -> Nvml:
    """Return NVML with a list of (process, bytes) a card."""

    def processes(card: Any) -> list[Any]:
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in cards[card]]

    return Nvml(
        SimpleNamespace(
            nvmlDeviceGetCount=lambda: len(cards),
            nvmlDeviceGetHandleByIndex=lambda index: index,
            nvmlDeviceGetComputeRunningProcesses=processes,
            nvmlShutdown=lambda: None,
        )
    )


def test_this_process_on_all_gpus() -> None:
    """Others are not counted; the peak stays when memory is given back."""
    me, used = os.getpid(), [(os.getpid(), 300), (1, 5000)]
    memory = GpuMemory(library(used, [(me, 20)]))
    memory.look()
    assert (memory.peak, memory.reason) == (320, "")
    used[0] = (me, 100)
    memory.look()
    assert (memory.peak, memory.reason) == (320, "")
    memory.close()


@pytest.mark.parametrize("listed", [[], [(1, 5000)], [(os.getpid(), None)], [(os.getpid(), 0)]])
def test_what_the_driver_does_not_tell_is_unknown(listed: list[tuple[int, int | None]]) -> None:
    """In a container it knows this process by another number, or tells no bytes; that is not 0 bytes."""
    memory = GpuMemory(library(listed))
    memory.look()
    assert memory.peak is None
    assert "--pid=host" in memory.reason


def test_without_the_library() -> None:
    """The reason stays that of the library."""
    memory = GpuMemory(None, "no NVIDIA driver that answers (no)")
    memory.look()
    memory.close()
    assert (memory.peak, memory.reason) == (None, "no NVIDIA driver that answers (no)")
