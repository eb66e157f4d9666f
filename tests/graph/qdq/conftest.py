"""Float graphs of every architecture, and ranges made of what their values are on a few inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed; pip install 'gcpose-trt[export]'")
from numpy.typing import NDArray  # noqa: E402

from gcpose_trt.graph.prepare import prepare_bundle  # noqa: E402
from gcpose_trt.graph.qdq import quantizable_tensors  # noqa: E402
from gcpose_trt.runtime.preprocess import SizeRule, fit, place  # noqa: E402
from gcpose_trt.video.sampling import read_frames  # noqa: E402
from tests.graph.conftest import open_session  # noqa: E402
from tests.support.once import computed_once  # noqa: E402

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class SeenRanges:
    """Ranges as a calibration record gives them, by graph and value."""

    seen: dict[tuple[str, str], tuple[float, float]]

    def amax(self, name: str, method: str, graph: str) -> float:
        return max(map(abs, self.seen[graph, name]))

    def range(self, name: str, method: str, graph: str) -> tuple[float, float]:
        return self.seen[graph, name]


class AnyRange:
    """The same range for every value: where only the structure matters."""

    def amax(self, name: str, method: str, graph: str) -> float:
        return 4.0

    def range(self, name: str, method: str, graph: str) -> tuple[float, float]:
        return -4.0, 4.0


@dataclass(frozen=True)
class FloatModel:
    """Both float graphs of a model, inputs for them, their values on those, and ranges of these."""

    name: str
    graphs: dict[str, onnx.ModelProto]
    feeds: dict[str, Arrays]
    outputs: dict[str, Arrays]
    ranges: SeenRanges

    def copy(self, graph: str) -> onnx.ModelProto:
        """Return a copy of a graph, to be changed."""
        model = onnx.ModelProto()
        model.CopyFrom(self.graphs[graph])
        return model


def with_outputs(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """Return a copy of a graph that also returns some of its float values."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    there = {value.name for value in [*copy.graph.output, *copy.graph.input]}
    declare = onnx.helper.make_tensor_value_info
    copy.graph.output.extend(declare(name, onnx.TensorProto.FLOAT, None) for name in names if name not in there)
    return copy


def run_all(model: onnx.ModelProto, feeds: Arrays, names: list[str]) -> Arrays:
    """Run a graph; return its outputs and some of its values."""
    session = open_session(with_outputs(model, names))
    outputs = [value.name for value in session.get_outputs()]
    return {**feeds, **dict(zip(outputs, session.run(None, feeds), strict=True))}


def _measure(name: str, source: Any, size: tuple[int, int]) -> FloatModel:
    prepared = prepare_bundle(source)
    graphs = {"detector": prepared.detector, "pose": prepared.pose}
    rng = np.random.default_rng(5)
    frame = read_frames(None)[-1]
    box = fit((frame.shape[0], frame.shape[1]), SizeRule(exact=size))
    image = rng.integers(0, 256, (1, *size, 3), np.uint8)  # noise outside the frame, which must not matter
    place(frame, box, image[0])
    feeds = {"detector": {"image": image, "image_size": np.array([box.content], np.int64)}}
    names = {graph: quantizable_tensors(model, graph) for graph, model in graphs.items()}
    found = run_all(graphs["detector"], feeds["detector"], names["detector"])
    boxes = np.array([[4, 6, size[1] - 20, size[0] - 9], [20, 3, 90, 60]], np.float32)
    feeds["pose"] = {"p2": found["p2"], "boxes": boxes, "batch_index": np.zeros(2, np.int64)}
    outputs = {"detector": found, "pose": run_all(graphs["pose"], feeds["pose"], names["pose"])}
    seen = {
        (graph, name): (min(0.0, float(outputs[graph][name].min())), max(0.0, float(outputs[graph][name].max())))
        for graph in graphs
        for name in names[graph]
    }
    return FloatModel(name, graphs, feeds, outputs, SeenRanges(seen))


@pytest.fixture(scope="session")
def float_models(tiny_exported: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, FloatModel]:
    """The shipped model and a small one of the r50's structure. Not to be changed."""
    sources = {"mobile": "mobile", "tiny": tiny_exported}

    def measure() -> dict[str, FloatModel]:
        return {name: _measure(name, source, (128, 160)) for name, source in sources.items()}

    found: dict[str, FloatModel] = computed_once(tmp_path_factory, "float_models", measure)
    return found


@pytest.fixture(params=["mobile", "tiny"])
def float_model(request: pytest.FixtureRequest, float_models: dict[str, FloatModel]) -> Iterator[FloatModel]:
    """Each of them."""
    yield float_models[request.param]
