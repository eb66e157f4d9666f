"""What training r50 costs: reading a run, counting, and what was recorded with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[train]'")
pytest.importorskip("tensorboard", reason="tensorboard is not installed; pip install 'gcpose-trt[train]'")
from benchmarks import r50_training
from benchmarks.common import REPOSITORY
from gcpose_trt.errors import GcposeError

RECORD = REPOSITORY / "benchmarks/results/r50_training.json"


def test_events_of_a_run(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path / "events")) as writer:
        for step, value in enumerate((4.0, 2.0, 1.0)):
            writer.add_scalar("loss/keypoint", value, step)
            writer.add_scalar("seconds_per_iteration", 0.5, step)
    assert r50_training.read_events(tmp_path) == {"loss/keypoint": [4, 2, 1], "seconds_per_iteration": [0.5] * 3}


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match="holds no training run; give"):
        r50_training.read_events(tmp_path)


def test_means_of_blocks() -> None:
    found = r50_training.falling({"a": [2.0] * 20 + [1.0] * 20, "b": [4.0] * 20 + [3.0] * 20})
    assert found == {"a": [2, 1], "b": [4, 3], "sum": [6, 4]}


def test_operations() -> None:
    """The paper's branch costs more than the plain one, the more people the more it shows."""
    counted = r50_training.count_operations()
    ratios = list(counted["with GCM to without, by people"].values())
    assert 1 < ratios[0] < ratios[1] < ratios[2] < 1.5
    # Eight 3x3 convolutions of 512 channels on 14 x 14 cells are most of the plain branch.
    assert counted["keypoint branch without GCM, one person"] > 8 * 2 * 9 * 512**2 * 196 / 1e9


def test_estimate() -> None:
    found = r50_training.estimate(1.25, 270_000)
    assert found["hours on 8 GPUs"] == pytest.approx(0.316 * 1.25 * 75, abs=0.1)
    assert found["hours on 1 GPU"] == pytest.approx(8 * found["hours on 8 GPUs"], abs=1)


def test_recorded_run_is_long_enough_and_its_loss_falls() -> None:
    recorded = json.loads(RECORD.read_text())
    assert recorded["iterations"] >= 200
    losses = recorded["losses"]
    assert losses["sum"][-1] < losses["sum"][0]
    assert losses["keypoint"][-1] < losses["keypoint"][0]
