"""Running the float graphs on an image and counting what every tensor holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from gcpose_trt.compare.points import add_outputs
from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.qdq import quantizable_tensors
from gcpose_trt.graph.shapes import fix_shapes, input_dimensions
from gcpose_trt.graph.tensors import infer
from gcpose_trt.quantization.histogram import Histogram, NotFiniteError
from gcpose_trt.quantization.tensors import activations
from gcpose_trt.runtime.preprocess import Image, SizeRule, fit, place

MIN_SCORE = 0.1  # doubtful people too: evaluation counts them, and their crops are another kind
MOST_PEOPLE = 10  # of an image; the rest would only weigh crowds more
BUDGET = 512 << 20  # bytes of values fetched by one run
_UNKNOWN = 1 << 20  # bytes of a value whose shape depends on the image's contents
_MAIN = {"detector": ("p2", "boxes", "scores", "count"), "pose": ("keypoints",)}


class Collector:
    """Histograms of all tensors of both graphs.

    Args:
        detector, pose: float graphs; left alone.
        rule: how large images become.
        bins: of each histogram, see `Histogram`.
        threads: of one inference; None: all cores.
        budget: bytes of values that one run of a graph may return. A large network is run several times an image, so
            that the memory does not grow with it.

    Attributes:
        names: by graph, the values looked at.
        histograms: by graph and name.
    """

    def __init__(
        self,
        detector: onnx.ModelProto,
        pose: onnx.ModelProto,
        rule: SizeRule,
        *,
        bins: int,
        threads: int | None = None,
        budget: int = BUDGET,
    ) -> None:
        self._rule = rule
        models = {"detector": detector, "pose": pose}
        self.names = {graph: wanted(model, graph) for graph, model in models.items()}
        self.histograms = {(graph, name): Histogram(bins) for graph, names in self.names.items() for name in names}
        self._runs: dict[str, list[_Run]] = {}
        # Boxes and p2 come from the first run of the detector.
        shapes = _largest_shapes(models, rule)
        for graph, model in models.items():
            chunks = split(self.names[graph], shapes[graph], budget)
            self._runs[graph] = [
                _Run(model, graph, chunk, _MAIN[graph] if index == 0 else (), threads)
                for index, chunk in enumerate(chunks)
            ]

    def add(self, image: Image, origin: str) -> int:
        """Count the tensors of one BGR image (h, w, 3) uint8 and return the number of people in it.

        Raises:
            GcposeError: a tensor is NaN or infinite, or the network cannot be run.
        """
        box = fit((image.shape[0], image.shape[1]), self._rule)
        feeds: dict[str, NDArray[Any]] = {
            "image": place(image, box)[None],
            "image_size": np.array([box.content], np.int64),
        }
        found = self._count("detector", feeds, origin)
        rows = np.flatnonzero(found["scores"][0, : int(found["count"][0])] >= MIN_SCORE)[:MOST_PEOPLE]
        if len(rows):
            people = np.ascontiguousarray(found["boxes"][0, rows])
            index = np.zeros(len(rows), np.int64)
            self._count("pose", {"p2": found["p2"], "boxes": people, "batch_index": index}, origin)
        return len(rows)

    def _count(self, graph: str, feeds: Mapping[str, NDArray[Any]], origin: str) -> dict[str, NDArray[Any]]:
        main: dict[str, NDArray[Any]] = {}
        for run in self._runs[graph]:
            values = run(feeds)
            main |= {name: values[name] for name in run.main}
            for name in run.names:
                try:
                    self.histograms[graph, name].add(values[name])
                except NotFiniteError as error:
                    raise GcposeError(
                        f"tensor {name} of the {graph} graph has {error} on {origin}; the weights are damaged or "
                        "overflow: export the model again, and look at the layers with gcpose-trt compare --layers"
                    ) from error
        return main


class _Run:
    """One session of a graph that also returns some of its inner values."""

    def __init__(
        self, model: onnx.ModelProto, graph: str, names: Sequence[str], main: Sequence[str], threads: int | None
    ) -> None:
        self.names = list(names)
        self.main = list(main)
        self._outputs = list(dict.fromkeys([*names, *main]))
        inputs = {value.name for value in model.graph.input}
        self._inputs = inputs
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 4
        # Images of ever other shapes would make the arena, which gives nothing back, as large as all of them.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        content = add_outputs(model, [name for name in self._outputs if name not in inputs]).SerializeToString()
        try:
            self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except MemoryError:
            raise
        except Exception as error:  # its exceptions have no public base class
            raise GcposeError(
                f"ONNX Runtime cannot load the {graph} graph ({_line(error)}); export the model again"
            ) from error

    def __call__(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        wanted = [name for name in self._outputs if name not in self._inputs]
        try:
            found: list[Any] = self._session.run(wanted, dict(feeds))
        except Exception as error:  # its exceptions have no public base class
            raise GcposeError(
                f"ONNX Runtime cannot run the model ({_line(error)}); export it again or choose another --size"
            ) from error
        return {**feeds, **dict(zip(wanted, found, strict=True))}


def wanted(model: onnx.ModelProto, graph: str) -> list[str]:
    """Return the values of a float graph to look at."""
    return list(dict.fromkeys([*activations(model), *quantizable_tensors(model, graph, defaults=False)]))


def split(names: Sequence[str], sizes: Mapping[str, int], budget: int) -> list[list[str]]:
    """Return the names in portions of at most `budget` bytes, one of a larger value alone; at least one portion."""
    portions: list[list[str]] = [[]]
    total = 0
    for name in names:
        size = sizes.get(name, _UNKNOWN)
        if portions[-1] and total + size > budget:
            portions.append([])
            total = 0
        portions[-1].append(name)
        total += size
    return portions


def _largest_shapes(models: Mapping[str, onnx.ModelProto], rule: SizeRule) -> dict[str, dict[str, int]]:
    """Return the bytes of the values of both graphs for the largest image and the most people."""
    height, width = rule.exact or fit((rule.long, rule.long), rule).canvas
    sizes: dict[str, dict[str, int]] = {}
    p2: tuple[int, ...] | None = None
    for graph, model in models.items():
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        known: dict[str, tuple[int | None, ...]] = (
            {"image": (1, height, width, 3), "image_size": (1, 2)}
            if graph == "detector"
            else {"boxes": (MOST_PEOPLE, 4), "batch_index": (MOST_PEOPLE,), **({"p2": p2} if p2 else {})}
        )
        fix_shapes(copy, input_dimensions(copy, known))
        found = {name: info.static for name, info in infer(copy).items()}
        p2 = found.get("p2")
        sizes[graph] = {name: 4 * int(np.prod(shape)) for name, shape in found.items() if shape is not None}
    return sizes


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
