"""The stand-in weights of the comparison with the authors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.r50_cpu import seeded_state
from gcpose_trt.errors import GcposeError


def test_every_weight_has_its_shape(shared: Path) -> None:
    state = seeded_state(shared / "reference")
    lines = (shared / "reference/detectron2_shapes.txt").read_text().splitlines()
    assert len(state) == len(lines)
    assert state["backbone.fpn_lateral2.weight"].shape == (256, 256, 1, 1)
    counters = [value for name, value in state.items() if name.endswith("num_batches_tracked")]
    assert counters
    assert all(value.shape == () and value.dtype == torch.int64 for value in counters)


def test_another_folder(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match="lacks seeded_weights"):
        seeded_state(tmp_path)
