"""Files of a run: `last.pt` to resume from, `best.pt` and `model.pt` to use."""

from __future__ import annotations

import dataclasses
import io
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gcpose_trt import __version__
from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write
from gcpose_trt.training.config import TrainConfig

FORMAT = 1
# Settings that may change between a run and its resumption without making it another run.
_FREE_SETTINGS = ("schedule.", "validation.", "workers", "checkpoint_every", "log_every", "export")


def save_model(path: Path, weights: dict[str, Tensor], config: TrainConfig, **facts: Any) -> None:
    """Write a model that `gcpose_trt.model.load_checkpoint` reads, with the recipe that made it."""
    content = {
        "model": weights,
        "config": config.model,
        "recipe": dataclasses.asdict(config),
        "seed": config.seed,
        "gcpose_trt": __version__,
        **facts,
    }
    _save(path, content)


def save_state(path: Path, config: TrainConfig, state: dict[str, Any]) -> None:
    """Write everything that the run needs to go on as if nothing had happened."""
    _save(path, {"format": FORMAT, "recipe": dataclasses.asdict(config), **state})


def _save(path: Path, content: dict[str, Any]) -> None:
    # By way of memory: PyTorch's writer turns a full disk into an internal error of its own.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with atomic_write(path) as stream:
        stream.write(buffer.getbuffer())


def load_state(path: Path, config: TrainConfig) -> dict[str, Any]:
    """Read what `save_state` wrote.

    Raises:
        GcposeError: not such a file, or of a run with another recipe.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise GcposeError(
            f"{path} is no checkpoint of a run or is damaged; start anew with another --output"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise GcposeError(f"{path} is no checkpoint of a run; give weights with --init instead")
    changes = _differences(state["recipe"], dataclasses.asdict(config))
    refused = [change for change in changes if not change.startswith(_FREE_SETTINGS)]
    if refused:
        raise GcposeError(
            f"{path} belongs to a run with another recipe ({'; '.join(refused[:3])}); "
            "resume with its own recipe, or start a new run with --init"
        )
    return state


def _differences(old: Any, new: Any, where: str = "") -> list[str]:
    """Return "key: old value, now new value" for each leaf in which two recipes differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys([*old, *new])
        inner = (_differences(old.get(key), new.get(key), f"{where}.{key}" if where else key) for key in keys)
        return [line for lines in inner for line in lines]
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for n, (a, b) in pairs for line in _differences(a, b, f"{where}.{n}")]
    return [] if old == new else [f"{where}: {old}, now {new}"]


def restore(module: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Load `weights` of the checkpoint `path` into `module`.

    Raises:
        GcposeError: they are of another architecture.
    """
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise GcposeError(
            f"{path} holds weights of another architecture; resume with the version that wrote it"
        ) from error
