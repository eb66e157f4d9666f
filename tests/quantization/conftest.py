"""A small model with convolutions, whose ranges can be foreseen, and pictures of its people."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.support.bundles import make_bundle


def add_convolution(path: Path, value: str, weight: float) -> None:
    """Put a 1x1 convolution (one channel) and a ReLU behind the node that makes `value`."""
    model = onnx.load(path)
    graph = model.graph
    place, node = next((i, n) for i, n in enumerate(graph.node) if value in n.output)
    node.output[0] = "pooled"
    graph.initializer.append(
        numpy_helper.from_array(np.full((1, 1, 1, 1), weight, np.float32), f"model.{value}.weight")
    )
    graph.node.insert(place + 1, helper.make_node("Conv", ["pooled", f"model.{value}.weight"], ["conv"]))
    graph.node.insert(place + 2, helper.make_node("Relu", ["conv"], [value]))
    onnx.save(model, path)


def make_model(folder: Path, weight: float = 0.5, **changes: object) -> Path:
    """Write a model whose detector's p2 is `weight` times the pooled image, and whose pose graph reads twice that."""
    make_bundle(folder, **changes)
    add_convolution(folder / "detector.onnx", "p2", weight)
    add_convolution(folder / "pose.onnx", "cells", 2.0)
    return folder


def make_images(folder: Path, count: int, people: bool = True) -> Path:
    """Write pictures of (48..64, 64) pixels; each has a blue person if `people`."""
    folder.mkdir()
    for index in range(count):
        image = np.full((48 + index % 3 * 8, 64, 3), 10 + index % 50, np.uint8)
        if people:
            image[8:32, 8 + index % 8 : 32] = (200, 10, 10)
        cv2.imwrite(str(folder / f"{index}.png"), image)
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("calibrated") / "model")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("pictures") / "images", 24)
