"""What the parts of a batch cost, each by itself, in processor time: a busy machine does not change it much."""

from __future__ import annotations

import pickle
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import av

from benchmarks.common import SAMPLE_CLIP
from gcpose_trt.batch import ray_streaming
from gcpose_trt.batch.inference import Inference
from gcpose_trt.batch.ray_data import RayExecutor
from gcpose_trt.batch.ray_stages import decode, pack_job
from gcpose_trt.batch.segment_file import write_segment
from gcpose_trt.batch.types import (
    Chunk,
    ChunkPoses,
    FinishJob,
    PlanJob,
    Recipe,
    SegmentJob,
    SegmentPoses,
    SourcePlan,
    SourceSpec,
    join,
)
from gcpose_trt.batch.worker import do_file_job, read_safely
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.preprocess import SizeRule, size_of

CLIPS = {"360p": (640, 360), "1080p": (1920, 1080)}
RATE = 25
KEY_FRAMES = 25
_FEW, _MANY = 30, 90  # segments, so that what a round costs and what a segment costs can be told apart


def make_clip(path: Path, size: tuple[int, int], frames: int, skip: int = 0) -> Path:
    """Write frames of the sample, H.264 with a key frame a second, at another size (w, h)."""
    with av.open(str(SAMPLE_CLIP)) as source, av.open(str(path), "w") as target:
        stream: Any = target.add_stream("libx264", rate=RATE, options={"g": str(KEY_FRAMES), "sc_threshold": "0"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            if skip <= number < skip + frames:
                picture = frame.reformat(*size, format="yuv420p")
                picture.pts, picture.time_base = number - skip, Fraction(1, RATE)
                target.mux(stream.encode(picture))
        target.mux(stream.encode(None))
    return path


def spec_of(path: Path) -> SourceSpec:
    """Return a clip as a source."""
    return SourceSpec(path.stem, str(path), "video", (), "0")


def plan_clip(path: Path, recipe: Recipe) -> SourcePlan:
    """Return how a clip is cut."""
    plan = do_file_job(PlanJob(spec_of(path), recipe))
    assert isinstance(plan, SourcePlan), plan
    return plan


def decoding(path: Path, recipe: Recipe, rule: SizeRule | None, repeats: int) -> dict[str, float]:
    """Return frames a second of one core from file to row, with the bytes of a frame in the file and on its way.

    Args:
        path: a video.
        recipe: how it is cut, and how many frames go together.
        rule: how decoders resize frames for the networks; None sends them whole, as to TensorRT.
        repeats: how often.
    """
    plan = plan_clip(path, recipe)
    jobs = [pack_job(SegmentJob(plan, segment, recipe)) for segment in plan.segments]
    rates, frames, travels = [], 0, 0
    for _ in range(repeats):
        start = time.process_time()
        frames = travels = 0
        for job, moved in jobs:
            for row in decode({"job": job, "moved": moved}, rule):
                frames += len(pickle.loads(row["head"])[1])
                travels += len(row["pixels"])
        rates.append(frames / (time.process_time() - start))
    return {
        "fps_a_core": round(statistics.median(rates), 1),
        "fps_min": round(min(rates), 1),
        "fps_max": round(max(rates), 1),
        "frames": frames,
        "frame_bytes": travels / frames,
        "file_bytes": round(path.stat().st_size / frames, 1),
    }


def merging(path: Path, recipe: Recipe, folder: Path, repeats: int) -> dict[str, float]:
    """Return frames a second of one core from segments to the part, and the bytes of a frame on the way."""
    plan = plan_clip(path, recipe)
    infer = Inference(recipe)
    files, frames, people, travel = [], 0, 0, 0
    for segment in plan.segments:
        chunks = [infer(chunk) for chunk in read_safely(plan, segment, recipe)]
        travel += sum(len(pickle.dumps(chunk, pickle.HIGHEST_PROTOCOL)) for chunk in chunks)
        whole = join(chunks)
        frames += len(whole.poses)
        people += sum(map(len, whole.poses))
        files.append(folder / f"{segment.index}.parquet")
        write_segment(files[-1], whole)
    job = FinishJob(plan, recipe, tuple(map(str, files)), str(folder / "part.parquet"), None)
    rates = []
    for _ in range(repeats):
        start = time.process_time()
        outcome = do_file_job(job)
        rates.append(frames / (time.process_time() - start))
    return {
        "fps_a_core": round(statistics.median(rates), 1),
        "fps_min": round(min(rates), 1),
        "fps_max": round(max(rates), 1),
        "frames": frames,
        "people_a_frame": round(people / frames, 2),
        "result_bytes": round(travel / frames, 1),
        "segment_file_bytes": round(sum(path.stat().st_size for path in files) / frames, 1),
        "part_bytes": round(Path(job.part).stat().st_size / frames, 1),
        "tracks": getattr(outcome, "tracks", 0),
    }


class Nobody:
    """A network that sees nobody and takes no time."""

    def __init__(self, recipe: Recipe, device: str | None) -> None:
        pass

    def __call__(self, chunk: Chunk) -> ChunkPoses:
        """Find nobody."""
        return ChunkPoses(
            chunk.source_id,
            chunk.segment,
            chunk.number,
            chunk.last,
            [PoseFrame.empty()] * len(chunk.images),
            [size_of(image) for image in chunk.images],
            chunk.ordinals,
            chunk.times,
            chunk.warnings,
            chunk.failure,
        )


def driver(address: str, recipe: Recipe, plan: SourcePlan, folder: Path, repeats: int) -> dict[str, Any]:
    """Return the processor time of the process that starts a batch: of a block, of a segment beside its blocks, of all.

    The network takes no time. What the process spends on waiting for its cluster is in it: too much rather than too
    little.
    """
    cases = {"few segments": (_FEW, False), "many segments": (_MANY, False), "few segments in blocks": (_FEW, True)}
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    writes: list[float] = []
    chunks = len(list(read_safely(plan, plan.segments[0], recipe)))
    with RayExecutor(recipe, address, 1, network=Nobody) as executor:
        list(executor.estimate(_copies(plan, recipe, 2)))  # imports and the like
        for _ in range(repeats):
            for name, (count, split) in cases.items():
                # A block is full with one chunk, or holds all of a segment.
                with mock.patch.object(ray_streaming, "BLOCK_BYTES", 1 if split else ray_streaming.BLOCK_BYTES):
                    start = time.process_time()
                    found = list(executor.estimate(_copies(plan, recipe, count)))
                    seconds[name].append(time.process_time() - start)
                start = time.process_time()
                for segment in found:
                    write_segment(folder / "written.parquet", segment)
                writes.append((time.process_time() - start) / count)
    few, many, split_up = (statistics.median(values) for values in seconds.values())
    block = (split_up - few) / (_FEW * (chunks - 1))
    each = (many - few) / (_MANY - _FEW)
    return {
        "seconds": {name: [round(value, 3) for value in values] for name, values in seconds.items()},
        "blocks_a_segment": chunks,
        "block_s": round(block, 6),
        "segment_s": round(each - block + statistics.median(writes), 6),
        "round_s": round(few - _FEW * each, 3),
    }


def _copies(plan: SourcePlan, recipe: Recipe, count: int) -> list[SegmentJob]:
    """Return a segment as those of many sources."""
    plans = [replace(plan, spec=replace(plan.spec, id=str(number))) for number in range(count)]
    return [SegmentJob(one, one.segments[0], recipe) for one in plans]


def finish(plan: SourcePlan, recipe: Recipe, segments: Sequence[SegmentPoses], folder: Path) -> FinishJob:
    """Return the job of a source whose segments are written now."""
    paths = []
    for segment in sorted(segments, key=lambda one: one.segment):
        paths.append(folder / plan.spec.id / f"{segment.segment}.parquet")
        write_segment(paths[-1], segment)
    return FinishJob(plan, recipe, tuple(map(str, paths)), str(folder / f"{plan.spec.id}.parquet"), None)
