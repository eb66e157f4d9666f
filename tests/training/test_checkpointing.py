"""Files of a run survive what goes wrong while they are written."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from gcpose_trt.errors import GcposeError
from gcpose_trt.training.checkpointing import load_state, restore, save_model, save_state
from gcpose_trt.training.config import TrainConfig


@contextmanager
def small_disk(limit: int) -> Iterator[None]:
    """No file of this process may grow past `limit` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    config = TrainConfig()
    save_state(path, config, {"iteration": 1})
    with small_disk(20_000), pytest.raises(GcposeError, match=r"cannot write .*; free some space"):
        save_state(path, config, {"iteration": 2, "model": torch.zeros(100_000)})
    assert load_state(path, config)["iteration"] == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.pt"]


def test_recipe_travels_with_the_model(tmp_path: Path) -> None:
    save_model(tmp_path / "model.pt", {"a": torch.ones(2)}, TrainConfig(seed=5), iteration=9)
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    assert (content["seed"], content["iteration"], content["config"]) == (5, 9, "mobile")
    assert content["recipe"]["rpn"]["samples"] == 256


def test_weights_of_another_architecture(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match="another architecture"):
        restore(torch.nn.Linear(2, 2), {"weight": torch.zeros(3, 3)}, tmp_path / "last.pt")
