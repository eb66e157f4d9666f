"""The two stages of a batch on Ray Data: decoding on CPUs, the network in an actor. Rows are what Arrow can carry.

    {"job": pickled SegmentJob} -> decode -> {"head": pickled Chunk without images, "pixels": bytes} -> Network
    -> {"poses": pickled ChunkPoses, or a line of text: the model cannot be opened}

Pixels go in one buffer a chunk, so that an actor reads them where they lie in the object store, without a copy. Where
networks resize frames on the host, decoders do it for them: 1080p at the size that `mobile` takes is a fourteenth of
the bytes, and of the blocks that have to be scheduled.
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
from gcpose_trt.runtime.preprocess import Image, Placed, SizeRule, place_ahead

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


def decode(row: dict[str, Any], rule: SizeRule | None = None) -> Iterator[dict[str, bytes]]:
    """Decode one segment, on a CPU of the cluster.

    Args:
        row: `pack_job`'s values.
        rule: how the networks resize frames, which is then done here; None sends them whole.

    Yields:
        A row a chunk.
    """
    job: SegmentJob = pickle.loads(row["job"])
    _use_threads(1)
    lacking = absent(job.plan.spec)
    if lacking is not None:
        yield _pack_failed(failed_chunk(job.plan.spec.id, job.segment.index, 0, lacking), lacking)
        return
    for chunk in read_safely(job.plan, job.segment, job.recipe):
        yield _pack_safely(replace(chunk, ordinals=chunk.ordinals + row["moved"]), rule)


def _pack_safely(chunk: Chunk, rule: SizeRule | None) -> dict[str, bytes]:
    """Return a chunk as a row, its frames resized if there is a rule; what fails is a result, too."""
    try:
        if rule is not None:
            chunk = replace(chunk, images=[place_ahead(image, rule) for image in chunk.images])
        return pack_chunk(chunk)
    except MemoryError:
        return _pack_failed(chunk, "out of memory while decoding; use fewer --decoders")
    except Exception as error:  # whatever a library raises is this segment's failure
        return _pack_failed(chunk, f"{explain(error)}; check the file, then run the same command again")


def _pack_failed(chunk: Chunk, reason: str) -> dict[str, bytes]:
    return {"head": pickle.dumps((_failed(chunk, reason), []), pickle.HIGHEST_PROTOCOL), "pixels": b""}


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
    arrays = [image.pixels if isinstance(image, Placed) else image for image in chunk.images]
    frames = [image.frame if isinstance(image, Placed) else None for image in chunk.images]
    shapes = [(array.shape, frame) for array, frame in zip(arrays, frames, strict=True)]
    head = pickle.dumps((replace(chunk, images=[]), shapes), pickle.HIGHEST_PROTOCOL)
    # One copy: the join reads the images' memory as it is.
    pixels = b"".join(np.ascontiguousarray(array).data for array in arrays)
    return {"head": head, "pixels": pixels}


def unpack_chunk(head: bytes, pixels: Any) -> Chunk | ChunkPoses:
    """Return the chunk of a row; its images are views of `pixels`, a buffer, and cannot be written to.

    One that needs no network comes as the poses that it has: none, and why.
    """
    chunk, shapes = pickle.loads(head)
    if isinstance(chunk, ChunkPoses):
        return chunk
    images: list[Image | Placed] = []
    start = 0
    for shape, frame in shapes:
        size = int(np.prod(shape))
        array = np.frombuffer(pixels, np.uint8, size, start).reshape(shape)
        images.append(array if frame is None else Placed(array, frame))
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
