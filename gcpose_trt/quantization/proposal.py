"""The fewest blocks that must stay in higher precision for a given loss of average precision."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from gcpose_trt.evaluation import evaluate
from gcpose_trt.evaluation.annotations import CocoAnnotations
from gcpose_trt.runtime.estimator import PoseEstimator

MIN_SCORE = 0.05  # as `gcpose-trt eval`: AP counts doubtful people too

DropOf = Callable[[frozenset[str]], float]


@dataclass(frozen=True)
class Proposal:
    """What to leave in higher precision.

    Attributes:
        keep: names of blocks, the most harmful first; empty: everything may be INT8.
        ap_drop: points of keypoint AP lost then.
        limit: points that may be lost.
        reached: whether the loss is within the limit.
        tried: every set that was evaluated and what it lost, in the order of the trials.
    """

    keep: tuple[str, ...]
    ap_drop: float
    limit: float
    reached: bool
    tried: tuple[tuple[tuple[str, ...], float], ...] = field(default_factory=tuple)


class ApMeter:
    """Keypoint AP of graphs in memory, against the float graphs'.

    Args:
        models: the float graphs by name.
        images, annotations: what to evaluate on.
        size: as `PoseEstimator` takes it.
        threads: of one inference.

    Attributes:
        baseline: AP of the float graphs, 0 to 1.
    """

    def __init__(
        self,
        models: Mapping[str, onnx.ModelProto],
        images: str | os.PathLike[str],
        annotations: CocoAnnotations,
        size: str | None = None,
        threads: int | None = None,
    ) -> None:
        self._images = images
        self._annotations = annotations
        self._size = size
        self._threads = threads
        self.baseline = self.ap(models)

    def ap(self, models: Mapping[str, onnx.ModelProto]) -> float:
        """Return the keypoint AP of a pair of graphs; 0 where nobody is found."""
        with tempfile.TemporaryDirectory(prefix="gcpose-") as folder:
            for graph, model in models.items():
                onnx.save(model, str(Path(folder) / f"{graph}.onnx"))
            with PoseEstimator(
                folder, backend="onnxruntime", size=self._size, min_score=MIN_SCORE, threads=self._threads
            ) as estimator:
                result = evaluate(estimator, self._images, self._annotations, rank=estimator.rank)
        return result.keypoints["AP"] or 0.0

    def drop(self, models: Mapping[str, onnx.ModelProto]) -> float:
        """Return the points (0 to 100) that a pair of graphs loses; negative where it gains."""
        return 100 * (self.baseline - self.ap(models))


def propose(ranking: Sequence[str], drop_of: DropOf, limit: float) -> Proposal:
    """Search for the fewest blocks to keep.

    First the shortest prefix of the ranking that is enough, by doubling and halving; then each block of it is given up
    again, the least harmful first, where the loss allows. A set smaller still that the ranking does not suggest may
    exist: trying all takes too long.

    Args:
        ranking: blocks, the most harmful first.
        drop_of: points of AP lost when the named blocks are kept in float.
        limit: points that may be lost.
    """
    trials: dict[frozenset[str], float] = {}

    def enough(names: Sequence[str]) -> bool:
        key = frozenset(names)
        if key not in trials:
            trials[key] = drop_of(key)
        return trials[key] <= limit

    count = 0
    while not enough(ranking[:count]) and count < len(ranking):
        count = min(len(ranking), max(1, 2 * count))
    low, high = count // 2, count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(ranking[:middle]) else (middle, high)
    keep = list(ranking[:high])
    reached = enough(keep)
    if reached:
        for name in reversed(keep[:]):
            fewer = [other for other in keep if other != name]
            if enough(fewer):
                keep = fewer
    order = {name: place for place, name in enumerate(ranking)}
    tried = tuple((tuple(sorted(names, key=order.__getitem__)), drop) for names, drop in trials.items())
    return Proposal(tuple(keep), trials[frozenset(keep)], limit, reached, tried)
