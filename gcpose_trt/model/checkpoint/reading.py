"""Reading the files that checkpoints come in."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gcpose_trt.model.checkpoint.report import CheckpointError


def read_checkpoint(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Return what the checkpoint file at `path` holds.

    Raises:
        GcposeError: there is no such file, or it is not a checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}; give the path of a checkpoint")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, ValueError, EOFError, RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is not a checkpoint that can be read; fetch it again") from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds no mapping of names to tensors; give a checkpoint")
    return content
