"""Files: every kind that is read, and everything that is refused with one line."""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gcpose_trt.errors import GcposeError
from gcpose_trt.model.checkpoint import read_checkpoint

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


class Bomb:
    """Runs a command when an ordinary unpickler meets it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def write_pickle(path: Path, content: Any, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def assert_holds_weight(path: Path) -> None:
    content = read_checkpoint(path)
    np.testing.assert_array_equal(np.asarray(content["a"]), WEIGHT)


def test_pytorch_file(tmp_path: Path) -> None:
    torch.save({"a": torch.tensor(WEIGHT)}, tmp_path / "a.pth")
    assert_holds_weight(tmp_path / "a.pth")


def test_pytorch_file_of_before_zip(tmp_path: Path) -> None:
    torch.save(OrderedDict(a=torch.tensor(WEIGHT)), tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    assert_holds_weight(tmp_path / "a.pth")


def test_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=WEIGHT)
    assert_holds_weight(tmp_path / "a.npz")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_detectron2_pickle(tmp_path: Path, protocol: int) -> None:
    content = {"model": OrderedDict(a=WEIGHT, b=np.float32(3), c=np.array([], np.int64)), "__author__": "somebody"}
    read = read_checkpoint(write_pickle(tmp_path / "a.pkl", content, protocol))
    np.testing.assert_array_equal(read["model"]["a"], WEIGHT)
    assert read["model"]["b"] == 3
    assert read["__author__"] == "somebody"


def test_python_2_pickle_with_numpy_1_names(tmp_path: Path) -> None:
    """Hand-assembled, since no Python 3 writes bytes as text: array of two float32, 1 and 2."""
    data = np.array([1, 2], "<f4").tobytes()
    program = (
        b"\x80\x02}U\x01acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U" + bytes([len(data)]) + data + b"tbs."
    )
    (tmp_path / "a.pkl").write_bytes(program)
    assert read_checkpoint(tmp_path / "a.pkl")["a"].tolist() == [1.0, 2.0]


def test_safetensors(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason="the package safetensors is not installed")
    safetensors.save_file({"a": torch.tensor(WEIGHT)}, tmp_path / "a.safetensors")
    assert_holds_weight(tmp_path / "a.safetensors")


def test_safetensors_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    (tmp_path / "a.safetensors").write_bytes(b"anything")
    with pytest.raises(GcposeError, match="pip install safetensors"):
        read_checkpoint(tmp_path / "a.safetensors")


@pytest.mark.parametrize("name", ["a.pkl", "a.pth"])
def test_a_pickle_runs_nothing(tmp_path: Path, name: str) -> None:
    mark = tmp_path / "mark"
    path = write_pickle(tmp_path / name, {"a": WEIGHT, "b": Bomb(mark)})
    with pytest.raises(GcposeError, match="Python objects"):
        read_checkpoint(path)
    assert not mark.exists()


def test_a_pytorch_file_runs_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    torch.save({"a": torch.tensor(WEIGHT), "b": Bomb(mark)}, tmp_path / "a.pth")
    with pytest.raises(GcposeError, match="Python objects"):
        read_checkpoint(tmp_path / "a.pth")
    assert not mark.exists()


def truncated(path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:-900])


def truncated_arrays(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), a=np.zeros(1000))
    path.write_bytes(path.with_suffix(".npz").read_bytes()[:-500])


def truncated_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": np.zeros(100)})[:-100])


def object_arrays(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), a=np.array([{}], dtype=object))
    path.with_suffix(".npz").replace(path)


def foreign_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no tensors")


def text(path: Path) -> None:
    path.write_text("<html>404</html>")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def folder(path: Path) -> None:
    path.mkdir()


def a_list(path: Path) -> None:
    torch.save([torch.zeros(2)], path)


def nothing(path: Path) -> None:
    """Leave no file."""


@pytest.mark.parametrize(
    "make",
    [
        truncated,
        truncated_arrays,
        truncated_pickle,
        object_arrays,
        foreign_archive,
        text,
        empty,
        folder,
        a_list,
        nothing,
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".npz", ".pkl"])
def test_refused(tmp_path: Path, make: Callable[[Path], None], suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    make(path)
    with pytest.raises(GcposeError) as caught:
        read_checkpoint(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert ";" in message  # what to do
