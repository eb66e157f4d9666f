"""What the stages of a batch hand to each other. All of it can be pickled, and nothing of it opens anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.preprocess import Image, Placed


@dataclass(frozen=True)
class SourceSpec:
    """What gets a partition of its own: a video, or the pictures of one folder.

    Attributes:
        id: short name for folders, a slug of the name and a digest of `uri`; unique in a batch.
        uri: absolute path or address; the column `source` of the output. Of a signed link it is an `Address`, whose
            text lacks the signature, and so are those of `files`: what is compared and recorded has no secrets.
        kind: "video" or "images".
        files: addresses of the pictures in natural order; empty for a video.
        fingerprint: digest of sizes and of modification times or ETags: another means that the source was changed.
    """

    id: str
    uri: str
    kind: Literal["video", "images"]
    files: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True)
class Segment:
    """A run of consecutive frames of one source, the unit of work and of resuming.

    Attributes:
        index: 0, 1, ... in the source.
        start: video: presentation time stamp, in the stream's time base, of its first key frame, None from the first
            frame on; pictures: position of the first.
        end: where the next one starts, exclusive; None to the end.
    """

    index: int
    start: int | None
    end: int | None


@dataclass(frozen=True)
class SourcePlan:
    """How a source is cut.

    Attributes:
        spec: the source.
        segments: in order; at least one.
        frames: how many it should have by its container, None where that does not say.
        rate: frames a second, nominal; None for pictures.
        size: (h, w) of a video's frames, upright; None where unknown.
    """

    spec: SourceSpec
    segments: tuple[Segment, ...]
    frames: int | None
    rate: float | None
    size: tuple[int, int] | None


@dataclass(frozen=True)
class SourceFailure:
    """A source that cannot be read.

    Attributes:
        uri: see `SourceSpec`; what the user gave where there is no more.
        reason: one line that ends with what to do.
        id: see `SourceSpec`; None for an input that names nothing.
    """

    uri: str
    reason: str
    id: str | None = None


@dataclass(frozen=True)
class Recipe:
    """Everything that the results depend on, beside the sources. A batch is resumed with the same one only.

    Attributes:
        model: as `PoseEstimator` takes it; files by absolute path.
        model_hash: SHA-256 of the files that run; the column `model`.
        backend: "onnxruntime", "torch" or "tensorrt".
        precision: "fp32", "fp16" or "int8".
        size: as `PoseEstimator` takes it.
        min_score: see `PoseEstimator`.
        max_people: see `PoseEstimator`.
        threads: CPU threads of one call; results differ in their last bits with it. None where the backend has none.
        batch: frames that go through the network together, for the same reason counted from a segment's start.
        segment_s: wanted length of a segment of video, seconds.
        segment_images: pictures of a segment.
        track: number people through videos.
        annotate: draw an MP4 of each video.
    """

    model: str
    model_hash: str
    backend: str
    precision: str
    size: str | None
    min_score: float
    max_people: int
    threads: int | None
    batch: int
    segment_s: float
    segment_images: int
    track: bool
    annotate: bool


@dataclass(frozen=True)
class Chunk:
    """Frames of a segment, decoded: what travels from a decoder to a network.

    Attributes:
        number: 0, 1, ... in the segment; every chunk but the last has `recipe.batch` frames.
        last: no chunk of this segment follows. A segment without frames is one empty chunk that is the last.
        images: BGR uint8 (h, w, 3), as decoded, or, where a cluster's decoders resize, what `place_ahead` made of them:
            `size_of` has their sizes.
        ordinals: (B,) int64; video: 0, 1, ... in the segment; pictures: position in the source's list.
        times: (B,) float64, seconds by the stream's own clock, not yet from the first frame; NaN for pictures.
        warnings: one line each; of the whole segment, with the last chunk.
        failure: why the segment cannot be read at all, one line; with the last chunk.
        again: that is not the file's fault, but that of the place it lies in: the next run tries the segment again.
    """

    source_id: str
    segment: int
    number: int
    last: bool
    images: Sequence[Image | Placed]
    ordinals: NDArray[np.int64]
    times: NDArray[np.float64]
    warnings: tuple[str, ...] = ()
    failure: str | None = None
    again: bool = False


@dataclass(frozen=True)
class ChunkPoses:
    """A chunk after the network; see `Chunk`. `sizes` are (h, w) of its frames, as decoded.

    A chunk that the network failed for has a `failure`, too, and no poses; that is `again`, as in `Chunk`.
    """

    source_id: str
    segment: int
    number: int
    last: bool
    poses: Sequence[PoseFrame]
    sizes: Sequence[tuple[int, int]]
    ordinals: NDArray[np.int64]
    times: NDArray[np.float64]
    warnings: tuple[str, ...] = ()
    failure: str | None = None
    again: bool = False


@dataclass(frozen=True)
class SegmentPoses:
    """A segment after the network: its chunks in order, see `ChunkPoses`.

    With `again` it failed for no fault of the file (memory, a worker that died, a store that does not answer): it is
    not recorded, its source fails, and the next run does what is missing.
    """

    source_id: str
    segment: int
    poses: Sequence[PoseFrame]
    sizes: Sequence[tuple[int, int]]
    ordinals: NDArray[np.int64]
    times: NDArray[np.float64]
    warnings: tuple[str, ...] = ()
    failure: str | None = None
    again: bool = False


def join(chunks: Iterable[ChunkPoses]) -> SegmentPoses:
    """Return the segment that all `chunks` of it make, in whatever order they come; at least one."""
    parts = sorted(chunks, key=lambda chunk: chunk.number)
    last = parts[-1]
    return SegmentPoses(
        last.source_id,
        last.segment,
        [pose for part in parts for pose in part.poses],
        [size for part in parts for size in part.sizes],
        np.concatenate([part.ordinals for part in parts]),
        np.concatenate([part.times for part in parts]),
        last.warnings,
        next((part.failure for part in parts if part.failure is not None), None),
        any(part.again for part in parts),
    )


@dataclass(frozen=True)
class PlanJob:
    """Cut a source. Done, it is a SourcePlan or a SourceFailure."""

    spec: SourceSpec
    recipe: Recipe


@dataclass(frozen=True)
class SegmentJob:
    """Read one segment of a source and find its people. Done, it is a SegmentPoses."""

    plan: SourcePlan
    segment: Segment
    recipe: Recipe


@dataclass(frozen=True)
class FinishJob:
    """Make the output of a source whose segments are all there. Done, it is a Finished or a SourceFailure.

    Attributes:
        segments: paths of the segment files, in order, on the machine that the batch was started on.
        part: path of the Parquet file to write there.
        video: path of the annotated MP4 to write there; None without.
    """

    plan: SourcePlan
    recipe: Recipe
    segments: tuple[str, ...]
    part: str
    video: str | None


@dataclass(frozen=True)
class Finished:
    """A source whose output is written.

    Attributes:
        frames: how many were looked at.
        seconds: from the first frame to the last; 0 for pictures.
        size: (h, w) of its first frame; None without frames.
        people: rows of the output.
        tracks: how many different people were followed.
        sha256: of the Parquet file.
        warnings: what went wrong on the way without ending it, one line each.
    """

    spec: SourceSpec
    frames: int
    seconds: float
    size: tuple[int, int] | None
    people: int
    tracks: int
    sha256: str
    warnings: tuple[str, ...]


Outcome = SourcePlan | Finished | SourceFailure


class Executor(Protocol):
    """Where the work is done: processes of this machine, or a cluster. A context manager; leaving it ends the work.

    The output's folder is touched by the caller only, but for the two files that a FinishJob names.
    """

    workers: int
    """Networks that run at the same time."""

    def submit(self, job: PlanJob | FinishJob) -> None:
        """Queue work for a CPU; returns at once."""

    def collect(self, wait: bool) -> list[Outcome]:
        """Return what is done of the jobs submitted, each once; with `wait`, wait for one if any is under way.

        Raises:
            GcposeError: the output cannot be written.
        """

    def estimate(self, jobs: Iterable[SegmentJob]) -> Iterator[SegmentPoses]:
        """Yield each job's segment once, in any order; a segment whose worker keeps dying comes as a failure.

        `submit` and `collect` may be called between two segments.

        Raises:
            GcposeError: the model cannot be opened, or the cluster is lost.
        """

    def __enter__(self) -> Executor: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
