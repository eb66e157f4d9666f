"""A folder of engines as a side: buckets, types, copies.

TensorRT and the GPU are stand-ins, ONNX Runtime does the work. The stand-in's device memory is host memory, and its
engines read and write it by address, as TensorRT would.
"""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gcpose_trt.compare import engine_side
from gcpose_trt.compare.comparison import compare_sides
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime import bundle
from gcpose_trt.runtime.backends.onnxruntime_backend import OnnxRuntimeBackend
from gcpose_trt.runtime.preprocess import SizeRule
from tests.support.bundles import make_bundle, metadata

BUCKETS = (1, 2)
SHAPES = {
    "image": ((1, 64, 64, 3), "uint8"),
    "image_size": ((1, 2), "int32"),  # TensorRT 8 has no int64
    "p2": ((1, 1, 16, 16), "float16"),
    "boxes": ((1, 3, 4), "float32"),
    "scores": ((1, 3), "float32"),
    "count": ((1,), "int32"),
    "batch_index": ((-1,), "int32"),
    "keypoints": ((-1, 17, 3), "float32"),
}


def _at(address: int, shape: tuple[int, ...], dtype: str) -> Any:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_uint8 * size).from_address(address), dtype).reshape(shape)


class Memory:
    """Device memory and pinned memory, poisoned."""

    def __init__(self, size: int) -> None:
        self.bytes = np.full(size, 0xA5, np.uint8)
        self.address = self.bytes.ctypes.data
        self.freed = False

    def view(self, shape: tuple[int, ...], dtype: Any) -> Any:
        assert not self.freed
        return self.bytes.view(dtype).reshape(shape)

    def free(self) -> None:
        self.freed = True


class Device:
    def __init__(self) -> None:
        self.memories: list[Memory] = []
        self.closed = False

    @contextmanager
    def current(self) -> Any:
        yield

    def allocate(self, size: int) -> Memory:
        self.memories.append(Memory(size))
        return self.memories[-1]

    allocate_pinned = allocate

    def stream(self) -> Any:
        def to_device(address: int, pinned: Any) -> None:
            ctypes.memmove(address, pinned.ctypes.data, pinned.nbytes)

        def to_host(pinned: Any, address: int) -> None:
            ctypes.memmove(pinned.ctypes.data, address, pinned.nbytes)

        return SimpleNamespace(to_device=to_device, to_host=to_host, synchronize=lambda: None)

    def close(self) -> None:
        self.closed = True


class Engine:
    """Runs one half of a model on addresses."""

    def __init__(self, name: str, backend: OnnxRuntimeBackend) -> None:
        self.name, self._backend = name, backend
        self.profiles_used: list[int] = []
        self.tensors = {key: SimpleNamespace(shape=shape) for key, (shape, _) in SHAPES.items()}

    def dtype(self, name: str) -> Any:
        return np.dtype(SHAPES[name][1])

    def context(self, profile: int, shapes: dict[str, Any], stream: Any) -> Any:
        self.profiles_used.append(profile)
        run = self._detect if "image" in shapes else self._pose
        return SimpleNamespace(execute=lambda addresses, stream: run(addresses, shapes))

    def _detect(self, addresses: dict[str, int], shapes: dict[str, Any]) -> None:
        image = _at(addresses["image"], *SHAPES["image"])
        size = _at(addresses["image_size"], *SHAPES["image_size"]).astype(np.int64)
        found = self._backend.detect(image, size)
        for name, value in (
            ("p2", found.p2.numpy()),
            *((key, getattr(found, key)) for key in ("boxes", "scores", "count")),
        ):
            _at(addresses[name], *SHAPES[name])[...] = value

    def _pose(self, addresses: dict[str, int], shapes: dict[str, Any]) -> None:
        people = shapes["boxes"][0]
        assert people in BUCKETS
        p2 = _at(addresses["p2"], *SHAPES["p2"]).astype(np.float32)
        boxes = _at(addresses["boxes"], (people, 4), "float32")
        rows = _at(addresses["batch_index"], (people,), "int32").astype(np.int64)
        import onnxruntime as ort

        keypoints = self._backend.pose(ort.OrtValue.ortvalue_from_numpy(p2), boxes, rows)
        _at(addresses["keypoints"], (people, 17, 3), "float32")[...] = keypoints

    def close(self) -> None:
        del self._backend


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "tiny", size=[64, 64])


@pytest.fixture
def side(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    backend = OnnxRuntimeBackend(bundle.find(folder))
    record = SimpleNamespace(model=metadata("detector"), size=(64, 64), max_people=3, batch=1, buckets=BUCKETS)
    opened = SimpleNamespace(
        record=record, device=Device(), detector=Engine("detector", backend), pose=Engine("pose", backend)
    )
    monkeypatch.setattr(engine_side, "open_folder", lambda path, index: opened)
    made = engine_side.EngineSide("engines")
    yield made
    made.close()
    assert opened.device.closed
    assert all(memory.freed for memory in opened.device.memories)


def test_agrees_with_the_model_that_it_was_built_from(side: Any, folder: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
    from gcpose_trt.compare.onnx_side import OnnxSide

    image = np.zeros((64, 64, 3), np.uint8)
    image[8:50, 10:40, 0] = 200
    image[30:60, 4:60, 1] = 220
    found = compare_sides(OnnxSide(str(folder)), side, [image], SizeRule(exact=(64, 64)))
    assert found.failures == []
    assert found.people.matched == 2
    assert set(found.absent) == {"pyramid", "proposals", "box branch", "logits"}
    assert {row.name for row in found.stages} >= {"p2", "boxes", "scores", "keypoints, clear"}


@pytest.mark.parametrize(("people", "profiles"), [(1, [0]), (2, [1]), (3, [1, 0]), (5, [1, 0])])
def test_people_are_cut_into_buckets(side: Any, people: int, profiles: list[int]) -> None:
    rng = np.random.default_rng(people)
    corner = rng.uniform(0, 30, (people, 2))
    boxes = np.concatenate([corner, corner + 20], 1).astype(np.float32)
    p2 = np.full((1, 1, 16, 16), 0.5, np.float32)
    together = side.pose(p2, boxes, np.zeros(people, np.int64)).keypoints
    assert together.shape == (people, 17, 3)
    assert side._opened.device.memories
    assert side._opened.pose.profiles_used == profiles, "a context is made once a bucket"
    alone = [side.pose(p2, box[None], np.zeros(1, np.int64)).keypoints[0] for box in boxes]
    np.testing.assert_array_equal(together, alone)


def test_features_of_another_shape(side: Any) -> None:
    with pytest.raises(GcposeError, match=r"takes P2 of shape \(1, 16, 16\), not \(2, 16, 16\)"):
        side.pose(np.zeros((1, 2, 16, 16), np.float32), np.zeros((1, 4), np.float32), np.zeros(1, np.int64))


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(GcposeError) as caught:
        engine_side.EngineSide(str(tmp_path / "missing"))
    assert "\n" not in str(caught.value)
