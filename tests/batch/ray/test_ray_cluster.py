"""Joining a cluster, and how a batch is spread over it."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from gcpose_trt.batch.ray_cluster import Shape, await_readers, choose_shape, joined
from gcpose_trt.batch.types import Recipe
from gcpose_trt.errors import GcposeError

RECIPE = Recipe("mobile", "0", "onnxruntime", "int8", "192", 0.5, 30, 1, 1, 30.0, 64, True, False)


def nodes(*sizes: tuple[int, int]) -> list[dict[str, Any]]:
    return [{"Alive": True, "Resources": {"CPU": cpus, "GPU": gpus}} for cpus, gpus in sizes]


def test_cpus() -> None:
    assert choose_shape(RECIPE, nodes((16, 0), (16, 0))) == Shape(28, 28, 1, 0, None, 16)
    assert choose_shape(RECIPE, nodes((2, 0))) == Shape(1, 1, 1, 0, None, 1)
    assert choose_shape(replace(RECIPE, threads=4), nodes((16, 0), (6, 0))).workers == 5
    assert choose_shape(RECIPE, nodes((16, 0)), decoders=6) == Shape(10, 10, 1, 0, 6, 8)
    assert choose_shape(RECIPE, nodes((16, 0)), workers=3) == Shape(3, 3, 1, 0, None, 8)
    # Machines may join later.
    assert choose_shape(RECIPE, nodes((8, 0)), workers=64) == Shape(64, 7, 1, 0, None, 4)


def test_gpus() -> None:
    tensorrt = replace(RECIPE, backend="tensorrt", threads=None)
    assert choose_shape(tensorrt, nodes((32, 4), (32, 4), (64, 0))) == Shape(8, 8, 1, 1, None, 64)
    assert choose_shape(tensorrt, nodes((32, 4)), gpus=0.5).workers == 8
    assert choose_shape(tensorrt, nodes((4, 8))).workers == 3  # cores for decoding are left
    assert choose_shape(replace(tensorrt, backend="torch"), nodes((32, 2))).gpus == 1
    assert choose_shape(replace(tensorrt, backend="torch"), nodes((32, 0))).gpus == 0


@pytest.mark.parametrize(
    ("recipe", "sizes"),
    [
        (RECIPE, [(1, 0)]),
        (replace(RECIPE, threads=8), [(4, 0), (4, 0), (4, 0)]),
        (replace(RECIPE, backend="tensorrt"), [(16, 0)]),
        (RECIPE, []),
    ],
)
def test_too_small(recipe: Recipe, sizes: list[tuple[int, int]]) -> None:
    with pytest.raises(GcposeError, match=r"do not fit on the Ray cluster .*; add a machine"):
        choose_shape(recipe, nodes(*sizes))


def test_machines_that_are_gone_do_not_count() -> None:
    gone = {"Alive": False, "Resources": {"CPU": 64}}
    assert choose_shape(RECIPE, [*nodes((8, 0)), gone]).workers == 7


@pytest.mark.parametrize("address", ["here", "host:", ":80", "host:port", "host:99999", "", "host:0"])
def test_no_address(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(GcposeError, match="is no address of a Ray cluster; give auto or HOST:PORT"), joined(address):
        pass


def test_clients_address() -> None:
    pytest.importorskip("ray")
    with pytest.raises(GcposeError, match="run this on a machine of the cluster"), joined("ray://host:10001"):
        pass


def test_nobody_answers() -> None:
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # nobody listens
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with (
            pytest.raises(GcposeError, match=f"no Ray cluster answers at {address} .*ray start --head"),
            joined(address),
        ):
            pass


def test_no_cluster_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")

    def init(**_: Any) -> None:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(GcposeError, match=r"no Ray cluster runs on this machine; .*ray start --head"), joined("auto"):
        pass


def test_another_version_on_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")

    def init(**_: Any) -> None:
        raise RuntimeError("Version mismatch:\n  This process was started with:\n    Ray: 1.0")

    monkeypatch.setattr(ray, "init", init)
    with (
        pytest.raises(GcposeError, match=r"^cannot join .*\(RuntimeError: Version mismatch: .*same versions"),
        joined("auto"),
    ):
        pass


def test_threads_of_ray_data_end_before_the_cluster_is_left() -> None:
    """Whoever calls Ray after it was shut down ends the process; nobody else is waited for, and nobody for ever."""
    end = threading.Event()

    def read() -> None:
        end.wait(30)

    read.__module__ = "ray.data._internal.util"
    stranger = threading.Thread(target=end.wait, args=(30,))
    prefetcher = threading.Thread(target=read, name="Prefetcher")
    for thread in (stranger, prefetcher):
        thread.start()
    try:
        began = time.monotonic()
        await_readers(20)
        assert time.monotonic() - began < 10, "there is nobody to wait for"
        reader = threading.Thread(target=read, name="iter_threaded")
        reader.start()
        began = time.monotonic()
        await_readers(0.3)
        assert reader.is_alive() and 0.3 <= time.monotonic() - began < 10
        threading.Timer(0.3, end.set).start()
        await_readers(20)
        assert not reader.is_alive()
    finally:
        end.set()
        for thread in (stranger, prefetcher):
            thread.join()
