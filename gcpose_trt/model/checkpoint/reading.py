"""Reading the files that checkpoints come in, without running what is in them.

A pickle is a program: the ones read here may only make tensors, arrays and Python's own containers.
"""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from gcpose_trt.errors import GcposeError
from gcpose_trt.model.checkpoint.exported import is_exported, read_exported
from gcpose_trt.model.checkpoint.report import CheckpointError

ZIP, PICKLE = b"PK\x03\x04", b"\x80"


def _encode(text: str, encoding: str) -> bytes:
    """Stand in for `_codecs.encode`, with which Python 2's pickles make bytes."""
    return text.encode(encoding)


_RECONSTRUCT = np.zeros(0).__reduce__()[0]
_SCALAR = np.float64(0).__reduce__()[0]
_FROM_BUFFER = np.zeros(0).__reduce_ex__(5)[0]
# All that a pickle may call. NumPy moved its functions from `numpy.core` to `numpy._core` in version 2.
ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): bytes,
    ("__builtin__", "bytearray"): bytearray,
    ("builtins", "bytearray"): bytearray,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy.core.multiarray", "scalar"): _SCALAR,
    ("numpy._core.multiarray", "scalar"): _SCALAR,
    ("numpy.core.numeric", "_frombuffer"): _FROM_BUFFER,
    ("numpy._core.numeric", "_frombuffer"): _FROM_BUFFER,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Makes NumPy arrays and nothing else that is not built in."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed") from None


def read_checkpoint(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Return what the checkpoint file at `path` holds: .pt and .pth of PyTorch, .npz, .safetensors, .pkl of detectron2;
    or the weights of an exported model, from its folder or either .onnx file.

    Raises:
        GcposeError: there is no such file, it is not a checkpoint, or it holds more than tensors and plain values.
    """
    path = Path(path)
    if is_exported(path):
        return read_exported(path)
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; give the path of a checkpoint file")
    if not path.exists():
        raise CheckpointError(f"there is no file {path}; give the path of a checkpoint")
    try:
        content = _read(path)
    except (GcposeError, MemoryError):
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds Python objects beside its tensors, or is damaged ({_first_line(error)}); save its "
            "state dict alone where it was made"
        ) from error
    except Exception as error:  # foreign bytes make zip, pickle, NumPy and PyTorch raise anything
        raise CheckpointError(
            f"{path} is not a checkpoint or is damaged ({_first_line(error)}); fetch it again"
        ) from error
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path} holds a {type(content).__name__}, not names and tensors; give a checkpoint's state dict"
        )
    return content


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    with path.open("rb") as stream:
        start = stream.read(4)
        stream.seek(0)
        if not start:
            raise CheckpointError(f"{path} is empty; fetch it again")
        if start == ZIP:
            return _read_zip(path)
        if start[:1] == PICKLE:
            return _read_pickle(path, stream)
    raise CheckpointError(f"{path} is not a checkpoint; give a .pt, .pth, .npz, .safetensors or .pkl file")


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        is_arrays = any(name.endswith(".npy") for name in archive.namelist())
    if not is_arrays:
        return torch.load(path, map_location="cpu", weights_only=True)
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _read_pickle(path: Path, stream: BinaryIO) -> Any:
    content = _ArrayUnpickler(stream, encoding="latin1").load()
    if isinstance(content, int):  # the number that PyTorch's files began with before version 1.6
        return torch.load(path, map_location="cpu", weights_only=True)
    return content


def _read_safetensors(path: Path) -> Any:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise CheckpointError(f"reading {path} needs the package safetensors; pip install safetensors") from error
    return load_file(path)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
