"""Sources, plans and segments with people in them, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from gcpose_trt.batch.types import Recipe, Segment, SegmentPoses, SourcePlan, SourceSpec
from gcpose_trt.pose.types import PoseFrame

RECIPE = Recipe("mobile", "ab" * 32, "onnxruntime", "fp32", None, 0.5, 30, 1, 1, 30.0, 64, True, False)
SIZE = (120, 160)


def video_spec(name: str = "walk", fingerprint: str = "1") -> SourceSpec:
    return SourceSpec(f"{name}-1f", f"/videos/{name}.mp4", "video", (), fingerprint)


def image_spec(count: int, name: str = "holiday") -> SourceSpec:
    files = tuple(f"/pictures/{name}/{number}.jpg" for number in range(count))
    return SourceSpec(f"{name}-2e", f"/pictures/{name}", "images", files, "1")


def plan_of(spec: SourceSpec, segments: int) -> SourcePlan:
    cuts = [None, *(100 * number for number in range(1, segments)), None]
    parts = tuple(Segment(number, cuts[number], cuts[number + 1]) for number in range(segments))
    return SourcePlan(spec, parts, None, 10.0 if spec.kind == "video" else None, SIZE)


def crowd(frames: int, seed: int = 0, people: int = 3) -> list[PoseFrame]:
    """People who walk to the right, each now and then out of sight, best first."""
    rng = np.random.default_rng(seed)
    found = []
    for frame in range(frames):
        seen = np.flatnonzero(rng.random(people) < 0.8)
        left = 2.0 * frame + 45 * seen
        boxes = np.stack([left, left * 0 + 10, left + 30, left * 0 + 90], axis=1) + rng.normal(0, 0.5, (len(seen), 4))
        joints = boxes[:, None, :2] + rng.random((len(seen), 17, 2)) * (30, 80)
        keypoints = np.concatenate([joints, np.full((len(seen), 17, 1), 0.8)], axis=2)
        scores = np.sort(rng.uniform(0.5, 1, len(seen)))[::-1]
        found.append(PoseFrame(boxes, scores, keypoints))  # type: ignore[arg-type]
    return found


def segment(
    source_id: str, index: int, poses: Sequence[PoseFrame], start: float = 0.0, rate: float = 10.0, **more: Any
) -> SegmentPoses:
    """A segment of a video whose first frame is shown at `start` seconds."""
    count = len(poses)
    times = start + np.arange(count) / rate
    return SegmentPoses(source_id, index, poses, [SIZE] * count, np.arange(count), times, **more)


def cut(source_id: str, poses: Sequence[PoseFrame], borders: Sequence[int], start: float = 0.0) -> list[SegmentPoses]:
    """The segments of a video that is cut before the frames `borders`."""
    edges = [0, *borders, len(poses)]
    times = start + np.arange(len(poses)) / 10
    return [
        SegmentPoses(source_id, index, poses[a:b], [SIZE] * (b - a), np.arange(b - a), times[a:b])
        for index, (a, b) in enumerate(pairwise(edges))
    ]


def same(a: SegmentPoses, b: SegmentPoses) -> bool:
    """Say whether two segments are equal, bit by bit."""

    def bits(value: SegmentPoses) -> list[bytes]:
        arrays = [np.asarray(value.ordinals, np.int64), np.asarray(value.times, np.float64)]
        arrays += [array for pose in value.poses for array in (pose.boxes, pose.scores, pose.keypoints)]
        return [array.tobytes() for array in arrays]

    def rest(value: SegmentPoses) -> Any:
        sizes = [tuple(size) for size in value.sizes]
        return value.source_id, value.segment, sizes, value.warnings, value.failure, len(value.poses)

    return bits(a) == bits(b) and rest(a) == rest(b)


def _floats(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    size = int(np.prod(shape))
    numbers = st.floats(width=32, allow_nan=True, allow_infinity=True)
    return st.lists(numbers, min_size=size, max_size=size).map(lambda v: np.array(v, np.float32).reshape(shape))


@st.composite
def segments(draw: st.DrawFn) -> SegmentPoses:
    """Any segment: without frames, without people, with numbers that are none, with any text."""
    people = draw(st.lists(st.integers(0, 2), max_size=4))
    poses = []
    for count in people:
        seed = draw(st.integers(0, 9))
        keypoints = np.random.default_rng(seed).normal(0, 1e3, (count, 17, 3))
        poses.append(PoseFrame(draw(_floats((count, 4))), draw(_floats((count,))), keypoints))  # type: ignore[arg-type]
    frames = len(people)
    line = st.text(st.characters(), max_size=8)  # lone surrogates, too: names of files that are no UTF-8
    return SegmentPoses(
        "any-1",
        draw(st.integers(0, 10_000)),
        poses,
        draw(st.lists(st.tuples(st.integers(1, 8192), st.integers(1, 8192)), min_size=frames, max_size=frames)),
        np.array(draw(st.lists(st.integers(0, 2**40), min_size=frames, max_size=frames)), np.int64),
        np.array(draw(st.lists(st.floats(), min_size=frames, max_size=frames)), np.float64),
        tuple(draw(st.lists(line, max_size=2))),
        draw(st.none() | line),
    )
