"""From decoded frames to poses: what every worker runs, on this machine or on a cluster."""

from __future__ import annotations

from types import TracebackType

from gcpose_trt.batch.types import Chunk, ChunkPoses, Recipe
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.estimator import PoseEstimator
from gcpose_trt.runtime.preprocess import size_of


class Inference:
    """A network that is ready to run, opened exactly as a recipe says.

    A chunk goes through the network in one call, because what a network returns depends in its last bits on which
    frames go together: results are the same bytes whoever runs which chunk.

    Args:
        recipe: model, backend, precision and limits.
        device: where torch or tensorrt run: "cpu", "cuda:1"; None leaves it to the backend.

    Raises:
        GcposeError: the model cannot be opened.
    """

    def __init__(self, recipe: Recipe, device: str | None = None) -> None:
        self._estimator = PoseEstimator(
            recipe.model,
            recipe.backend,
            recipe.size,
            recipe.min_score,
            recipe.max_people,
            recipe.threads,
            recipe.precision,
            None if recipe.backend == "onnxruntime" else device,
        )

    def __call__(self, chunk: Chunk) -> ChunkPoses:
        """Find the people of a chunk; a chunk that the network fails for (out of memory) becomes a failure."""
        poses: list[PoseFrame] = []
        failure = chunk.failure
        if failure is None and len(chunk.images):
            try:
                poses = self._estimator.run_batch(chunk.images)[0]
            except GcposeError as error:
                failure = str(error)
            except MemoryError:
                failure = "out of memory; choose a smaller --size or a smaller --batch"
        return ChunkPoses(
            chunk.source_id,
            chunk.segment,
            chunk.number,
            chunk.last,
            poses,
            [size_of(image) for image in chunk.images],
            chunk.ordinals,
            chunk.times,
            chunk.warnings,
            failure,
            again=chunk.again or (failure is not None and chunk.failure is None),
        )

    def close(self) -> None:
        """Free the network."""
        self._estimator.close()

    def __enter__(self) -> Inference:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
