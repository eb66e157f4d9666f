"""The stand-in weights that the reference tensors were made with, by detectron2's names."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np


def read_shapes(reference: Path) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor of the authors' r50."""
    lines = (reference / "detectron2_shapes.txt").read_text().splitlines()
    fields = (line.split("\t") for line in lines)
    return {name: tuple(int(side) for side in shape.split(",") if side) for name, shape in fields}


def seeded_arrays(reference: Path) -> dict[str, np.ndarray]:
    """Return all of them."""
    spec = importlib.util.spec_from_file_location("seeded_weights", reference / "seeded_weights.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: module.seeded_array(name, shape) for name, shape in read_shapes(reference).items()}
