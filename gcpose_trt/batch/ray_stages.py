"""The two stages of a batch on Ray Data: decoding on CPUs, the network in an actor. Rows are what Arrow can carry.

    {"job": pickled SegmentJob} -> decode -> {"head": pickled Chunk without images, "pixels": bytes} -> Network
    -> {"poses": pickled ChunkPoses, or a line of text: the model cannot be opened}

Pixels go in one buffer a chunk, so that an actor reads them where they lie in the object store, without a copy.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gcpose_trt.batch.ray_cluster import address_of_this_node
from gcpose_trt.batch.types import Chunk, ChunkPoses, Recipe, Segment, SegmentJob, SourceSpec
from gcpose_trt.batch.worker import Network, explain, failed_chunk, read_safely
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.preprocess import Image

if TYPE_CHECKING:
    import pyarrow as pa


def pack_job(job: SegmentJob) -> tuple[bytes, int]:
    """Return a job without what its segment does not need, and how far its pictures' positions have moved for that.

    A folder may hold a million pictures: named in each of its segments' jobs they would fill the object store.
    """
    plan, segment, moved = job.plan, job.segment, 0
    if plan.spec.kind == "images":
        moved = segment.start or 0
        files = plan.spec.files[moved : segment.end]
        plan = replace(plan, spec=replace(plan.spec, files=files))
        segment = Segment(segment.index, 0, len(files))
    plan = replace(plan, segments=(segment,))
    return pickle.dumps(SegmentJob(plan, segment, job.recipe), pickle.HIGHEST_PROTOCOL), moved


def decode(row: dict[str, Any]) -> Iterator[dict[str, bytes]]:
    """Decode one segment, on a CPU of the cluster: a row of `pack_job`'s values to a row a chunk."""
    job: SegmentJob = pickle.loads(row["job"])
    _use_threads(1)
    lacking = absent(job.plan.spec)
    if lacking is not None:
        failed = _failed(failed_chunk(job.plan.spec.id, job.segment.index, 0, lacking), lacking)
        yield {"head": pickle.dumps((failed, []), pickle.HIGHEST_PROTOCOL), "pixels": b""}
        return
    for chunk in read_safely(job.plan, job.segment, job.recipe):
        yield pack_chunk(replace(chunk, ordinals=chunk.ordinals + row["moved"]))


def absent(spec: SourceSpec) -> str | None:
    """Say that a local source is not to be seen on this machine of the cluster; None where it is.

    Of pictures it is their folder that counts: one that was removed is damage like any other.
    """
    from gcpose_trt.batch import storage

    uri = spec.files[0] if spec.files else spec.uri
    if storage.is_remote(uri):
        return None
    path = Path(uri).parent if spec.kind == "images" else Path(uri)
    if path.exists():
        return None
    return (
        f"{path} is not there on the machine {address_of_this_node()} of the Ray cluster; keep inputs in a folder that "
        "all machines share, or in an object store"
    )


def pack_chunk(chunk: Chunk) -> dict[str, bytes]:
    """Return a chunk as a row."""
    shapes = [image.shape for image in chunk.images]
    head = pickle.dumps((replace(chunk, images=[]), shapes), pickle.HIGHEST_PROTOCOL)
    # One copy: the join reads the images' memory as it is.
    pixels = b"".join(np.ascontiguousarray(image).data for image in chunk.images)
    return {"head": head, "pixels": pixels}


def unpack_chunk(head: bytes, pixels: Any) -> Chunk | ChunkPoses:
    """Return the chunk of a row; its images are views of `pixels`, a buffer, and cannot be written to.

    One that needs no network comes as the poses that it has: none, and why.
    """
    chunk, shapes = pickle.loads(head)
    if isinstance(chunk, ChunkPoses):
        return chunk
    images: list[Image] = []
    start = 0
    for shape in shapes:
        size = int(np.prod(shape))
        images.append(np.frombuffer(pixels, np.uint8, size, start).reshape(shape))
        start += size
    return replace(chunk, images=images)


class Run:
    """An actor's network: blocks of `decode`'s rows to rows of poses. What fails is a result, never an exception.

    Args:
        recipe: what the network is.
        device: see `Inference`.
        network: opens it instead of `Inference`.
    """

    def __init__(self, recipe: Recipe, device: str | None, network: Network | None) -> None:
        if network is None:
            from gcpose_trt.batch.inference import Inference

            network = Inference
        if device in (None, "cpu"):
            _use_threads(recipe.threads or 1)
        self._failure = ""
        self._infer: Callable[[Chunk], ChunkPoses] | None = None
        try:
            self._infer = network(recipe, device)
        except GcposeError as error:
            # An exception here would make Ray start actor after actor.
            self._failure = f"{error} (on the machine {address_of_this_node()} of the Ray cluster)"

    def __call__(self, block: pa.Table) -> Iterator[dict[str, Sequence[bytes]]]:
        """Run a block of chunks."""
        heads, pixels = block.column("head"), block.column("pixels")
        for head, buffer in zip(heads, pixels, strict=True):
            result: Any = self._failure
            if self._infer is not None:
                result = self._run(unpack_chunk(head.as_py(), buffer.as_buffer()))
            yield {"poses": [pickle.dumps(result, pickle.HIGHEST_PROTOCOL)]}

    def _run(self, chunk: Chunk | ChunkPoses) -> ChunkPoses:
        assert self._infer is not None
        if isinstance(chunk, ChunkPoses):
            return chunk
        try:
            return self._infer(chunk)
        except Exception as error:  # whatever a library raises is this segment's failure
            return _failed(chunk, f"{explain(error)}; check the file, then run the same command again")


def _failed(chunk: Chunk, reason: str) -> ChunkPoses:
    """Return a chunk without poses that the next run tries again."""
    key = (chunk.source_id, chunk.segment, chunk.number, chunk.last)
    return ChunkPoses(*key, [], [], chunk.ordinals[:0], chunk.times[:0], failure=reason, again=True)


def _use_threads(count: int) -> None:
    """Keep OpenCV to the cores that were asked for."""
    import cv2

    cv2.setNumThreads(count)
