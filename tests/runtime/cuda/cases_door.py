"""What every binding of the CUDA driver must do. Run by test_door.py, in a process of its own, on a driver of its own.

GCPOSE_CUDA names the binding.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.cuda import CudaError, Device, Lot, load_driver, open_device

STANDIN = os.environ.get("GCPOSE_TEST_STANDIN") == "1"
if STANDIN:
    # pycuda refers to the whole driver; what it never calls need not be there.
    sys.setdlopenflags(os.RTLD_LAZY)


def standin_count(what: str) -> int:
    from tests.support.cuda_standin import count

    return count(what)


@pytest.fixture
def device() -> Iterator[Device]:
    with open_device() as opened:
        yield opened


def round_trip(device: Device, size: int, value: int) -> bool:
    """Send bytes to the GPU and back."""
    stream, memory = device.stream(), device.allocate(size)
    sent, back = device.allocate_pinned(size), device.allocate_pinned(size)
    with device.current():
        sent.bytes[:] = np.arange(size) % 251 + value
        stream.to_device(memory.address, sent.bytes)
        stream.to_host(back.bytes, memory.address)
        stream.synchronize()
        same = bool(np.array_equal(sent.bytes, back.bytes))
        for resource in (stream, memory, sent, back):
            resource.free()
    return same


def test_binding(device: Device) -> None:
    assert device.driver.name == os.environ["GCPOSE_CUDA"]
    assert device.info.index == 0
    assert device.info.name
    assert all(part.isdigit() for part in device.info.compute_capability.split("."))
    assert device.info.total_memory >= 1 << 20
    assert float(device.info.driver_version) >= 11
    free, total = device.memory()
    assert 0 < free <= total


@pytest.mark.parametrize("size", [1, 255, 4096, 1_000_003])
def test_copies(device: Device, size: int) -> None:
    assert round_trip(device, size, 1)
    assert not device.live


def test_views_and_fill(device: Device) -> None:
    stream, memory, pinned = device.stream(), device.allocate(24), device.allocate_pinned(24)
    assert memory.address % 256 == 0
    numbers = pinned.view((2, 2), np.float32, offset=8)
    with device.current():
        stream.fill(memory)
        stream.to_host(pinned.bytes, memory.address)
        stream.synchronize()
        assert not pinned.bytes.any()
        numbers[:] = [[1, 2], [3, 4]]
        stream.to_device(memory.address + 8, numbers)
        stream.to_host(pinned.view((4,), np.float32), memory.address + 8)
        stream.synchronize()
    np.testing.assert_array_equal(pinned.view((4,), np.float32), [1, 2, 3, 4])


def test_a_stream_waits_for_another(device: Device) -> None:
    first, second, copied = device.stream(), device.stream(), device.event()
    memory, sent, back = device.allocate(8), device.allocate_pinned(8), device.allocate_pinned(8)
    with device.current():
        for value in (3, 4):
            sent.bytes[:] = value
            first.to_device(memory.address, sent.bytes)
            first.record(copied)
            second.wait(copied)
            second.to_host(back.bytes, memory.address)
            second.synchronize()
            assert (back.bytes == value).all()


def test_a_stream_waits_for_one_of_another_library(device: Device) -> None:
    theirs, ours = device.stream(), device.stream()
    memory, back = device.allocate(8), device.allocate_pinned(8)
    with device.current():
        theirs.fill(memory, 9)
        ours.wait_foreign(theirs.address)
        ours.wait_foreign(1)  # the legacy default stream
        ours.to_host(back.bytes, memory.address)
        ours.synchronize()
    assert (back.bytes == 9).all()


def test_events_measure(device: Device) -> None:
    stream, start, end = device.stream(), device.event(timing=True), device.event(timing=True)
    memory = device.allocate(1 << 16)
    with device.current():
        stream.record(start)
        stream.fill(memory)
        stream.record(end)
        end.synchronize()
        assert end.since(start) >= 0


def test_graph(device: Device) -> None:
    stream, memory = device.stream(), device.allocate(8)
    sent, back = device.allocate_pinned(8), device.allocate_pinned(8)
    sent.bytes[:], back.bytes[:] = 1, 0

    def enqueue() -> None:
        stream.to_device(memory.address, sent.bytes)
        stream.to_host(back.bytes, memory.address)

    graph = device.capture(stream, enqueue)
    with device.current():
        stream.synchronize()
        assert not back.bytes.any(), "captured work must not run"
        for value in (5, 6):  # what the graph reads may change between launches
            sent.bytes[:] = value
            stream.launch(graph)
            stream.synchronize()
            assert (back.bytes == value).all()
    assert device.live["graph"] == 1
    graph.free()
    assert device.live["graph"] == 0


def test_capture_that_fails_leaves_a_usable_stream(device: Device) -> None:
    stream = device.stream()

    def waits() -> None:
        stream.synchronize()

    with pytest.raises(CudaError) as caught:
        device.capture(stream, waits)
    assert "\n" not in str(caught.value)

    def breaks() -> None:
        raise KeyError("fault of the caller")

    with pytest.raises(KeyError):
        device.capture(stream, breaks)
    memory, back = device.allocate(8), device.allocate_pinned(8)
    with device.current():
        stream.fill(memory, 2)
        stream.to_host(back.bytes, memory.address)
        stream.synchronize()
    assert (back.bytes == 2).all()


def test_threads_share_a_device(device: Device) -> None:
    barrier = threading.Barrier(4)

    def work(value: int) -> bool:
        barrier.wait()
        return all(round_trip(device, 10_000, value) for _ in range(10))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    assert not device.live


def test_made_in_one_thread_freed_in_another(device: Device) -> None:
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(lambda: [device.stream(), device.event(), device.allocate(9), device.allocate_pinned(9)])
        for resource in made.result():
            resource.free()
            resource.free()
    assert not device.live


def test_close_frees_everything_also_in_another_thread() -> None:
    device = open_device()
    made = [device.stream(), device.event(), device.allocate(100), device.allocate_pinned(100)]
    stream = made[0]
    device.capture(stream, lambda: None)
    assert sum(device.live.values()) == 5
    with ThreadPoolExecutor(1) as pool:
        pool.submit(device.close).result()
    assert not device.live
    device.close()
    for resource in made:
        resource.free()
    with pytest.raises(GcposeError, match="was closed; make a new PoseEstimator"):
        device.stream()
    if STANDIN:
        assert [standin_count(what) for what in ("device", "pinned", "streams", "events", "graphs")] == [0] * 5
        assert standin_count("contexts") == standin_count("pushed") == 0


def test_two_devices_objects_share_the_primary_context() -> None:
    first, second = open_device(), open_device()
    memory = first.allocate(8)
    stream, back = second.stream(), second.allocate_pinned(8)
    with first.current(), second.current():
        stream.fill(memory, 7)
        stream.to_host(back.bytes, memory.address)
        stream.synchronize()
    assert (back.bytes == 7).all()
    first.close()
    assert round_trip(second, 100, 0), "the other's close must not take the context away"
    second.close()
    if STANDIN:
        assert standin_count("contexts") == standin_count("pushed") == 0


def test_the_context_is_current_inside_only(device: Device) -> None:
    with pytest.raises(ZeroDivisionError), device.current(), device.current():
        raise ZeroDivisionError
    with pytest.raises(CudaError, match=r"no CUDA context is current|context") as caught:
        device.driver.allocate(8)
    assert "\n" not in str(caught.value)
    if STANDIN:
        assert standin_count("pushed") == 0


def test_out_of_memory(device: Device) -> None:
    with pytest.raises(CudaError, match=r"out of GPU memory.*choose a smaller size or fewer people") as caught:
        device.allocate(1 << 50)
    assert caught.value.code == 2
    assert not device.live
    assert round_trip(device, 100, 0)


def test_a_lot_is_all_or_nothing(device: Device) -> None:
    with pytest.raises(CudaError), Lot(device) as lot:
        lot.allocate(100), lot.allocate_pinned(100), lot.event(), lot.event(timing=True)
        assert sum(device.live.values()) == 4
        lot.allocate(1 << 50)
    assert not device.live
    with Lot(device) as lot:
        lot.allocate(100)
    assert device.live == {"device memory": 1}
    lot.free()
    assert not device.live


def test_no_such_gpu() -> None:
    with pytest.raises(GcposeError, match=r"no GPU 99, this machine shows \d+; choose another"):
        open_device(99)


def test_unknown_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCPOSE_CUDA", "opencl")
    with pytest.raises(GcposeError, match="choose one of cuda-python, pycuda"):
        load_driver()


@pytest.mark.skipif(not STANDIN, reason="only the stand-in driver checks the bounds of copies")
def test_a_failed_copy_is_one_line(device: Device) -> None:
    stream, memory, pinned = device.stream(), device.allocate(8), device.allocate_pinned(16)
    with device.current(), pytest.raises(CudaError, match=r"CUDA failed.*invalid argument") as caught:
        stream.to_device(memory.address, pinned.bytes)
    assert "\n" not in str(caught.value)
