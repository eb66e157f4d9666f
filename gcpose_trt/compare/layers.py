"""In which layers of an ONNX graph does the error of another precision arise?

Both graphs are fed the same, every float value that has the same name in both is fetched, and each layer is given the
error that its output has beyond that of its inputs. What lies behind a choice (a peak, top-k, suppression, a gather of
the chosen) may hold the same rows in another order; there a difference by place says nothing, so it is left out. The
box branch, which lies behind the first choice, is therefore run as a graph of its own, on A's maps and proposals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from gcpose_trt.compare.onnx_side import OnnxSide, open_session, run_session
from gcpose_trt.compare.points import add_outputs
from gcpose_trt.compare.side import Array

_CHOOSING = ("Equal", "TopK", "Nms", "NonMaxSuppression", "ArgMax", "ArgMin", "NonZero", "KeypointDecode", "OksDecode")
_CHUNK = 48  # values fetched by one run: all at once would need gigabytes for a large model


@dataclass(frozen=True)
class Layer:
    """One layer's share in the difference of two graphs.

    Attributes:
        graph: "detector", "box branch" or "pose".
        name: of the layer's output.
        op: what computes it.
        shape: of the output.
        before: largest relative error of its inputs, root mean square of the difference in parts of that of A's value.
        after: that of its output.
    """

    graph: str
    name: str
    op: str
    shape: tuple[int, ...]
    before: float
    after: float

    @property
    def growth(self) -> float:
        """Error that arises here, as a part of the output; independent errors add up as squares."""
        return float(np.sqrt(max(0.0, self.after**2 - self.before**2)))


def graph_layers(
    graph: str, a: onnx.ModelProto, b: onnx.ModelProto, feeds: Sequence[Mapping[str, Array]], threads: int | None = None
) -> list[Layer]:
    """Return the layers of A whose outputs B has too, in the order of the graph.

    Args:
        graph: what to call it.
        a, b: two versions of one graph.
        feeds: inputs of both, one entry a run.
        threads: of one inference.
    """
    names = _comparable(a, b)
    errors: dict[str, float] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for start in range(0, len(names), _CHUNK):
        chunk = names[start : start + _CHUNK]
        sessions = [open_session(add_outputs(model, chunk), Path(graph), threads) for model in (a, b)]
        squares = {name: np.zeros(2) for name in chunk}
        for feed in feeds:
            values_a, values_b = (run_session(session, feed, chunk) for session in sessions)
            for name in chunk:
                x, y = values_a[name], values_b[name]
                if x.dtype.kind == "f" and y.dtype.kind == "f" and x.shape == y.shape and x.size:
                    shapes[name] = x.shape
                    squares[name] += np.square(x - y, dtype=np.float64).mean(), np.square(x, dtype=np.float64).mean()
        errors |= {name: float(np.sqrt(squares[name][0] / max(squares[name][1], 1e-30))) for name in chunk}
    errors = {name: error for name, error in errors.items() if name in shapes}
    return _layers(graph, a, errors, shapes)


def _comparable(a: onnx.ModelProto, b: onnx.ModelProto) -> list[str]:
    """Return the values of both graphs that do not lie behind a choice, in A's order."""
    chosen: set[str] = set()
    names = []
    other = {output for node in b.graph.node for output in node.output}
    for node in a.graph.node:
        if node.op_type in _CHOOSING or chosen.intersection(node.input):
            chosen.update(node.output)
        else:
            names += [output for output in node.output if output in other]
    return names


def _layers(
    graph: str, model: onnx.ModelProto, errors: Mapping[str, float], shapes: Mapping[str, tuple[int, ...]]
) -> list[Layer]:
    # A value that was not compared (an integer, one that the other graph lacks) passes on its inputs' error.
    carried: dict[str, float] = {}
    layers = []
    for node in model.graph.node:
        before = max((carried.get(name, 0.0) for name in node.input), default=0.0)
        for output in node.output:
            carried[output] = errors.get(output, before)
            if output in errors:
                layers.append(Layer(graph, output, node.op_type, shapes[output], before, errors[output]))
    return layers


def layers_of(
    a: OnnxSide, b: OnnxSide, inputs: Iterable[tuple[Array, Array]], threads: int | None = None
) -> list[Layer]:
    """Return the layers of all graphs of two ONNX models, on whole images.

    Args:
        a, b: two precisions of one model.
        inputs: letterboxed images (B, H, W, 3) uint8 with the sizes (B, 2) int64 of what is in them.
        threads: of one inference.
    """
    detector_feeds, box_feeds, pose_feeds = [], [], []
    for image, size in inputs:
        detector_feeds.append({"image": image, "image_size": size})
        found = a.detect(image, size)
        # The cut values may have other names in B; each graph takes those that it knows.
        box_feeds.append({**b.box_branch_feeds(found, size), **a.box_branch_feeds(found, size)})
        people = found.boxes[0, : int(found.count[0])]
        if len(people):
            pose_feeds.append({"p2": found.p2, "boxes": people, "batch_index": np.zeros(len(people), np.int64)})
    layers = graph_layers("detector", a.detector, b.detector, detector_feeds, threads)
    if a.box_branch is not None and b.box_branch is not None:
        layers += graph_layers("box branch", a.box_branch, b.box_branch, box_feeds, threads)
    if pose_feeds:
        layers += graph_layers("pose", a.pose_graph, b.pose_graph, pose_feeds, threads)
    return layers
