"""Cutting sources into segments."""

from __future__ import annotations

from gcpose_trt.batch.faults import Beat, nothing
from gcpose_trt.batch.reading import open_clip
from gcpose_trt.batch.types import Recipe, Segment, SourceFailure, SourcePlan, SourceSpec
from gcpose_trt.errors import GcposeError
from gcpose_trt.video.clips import no_frames
from gcpose_trt.video.segments import Notes, find_cuts, read_window


def plan_source(spec: SourceSpec, recipe: Recipe, beat: Beat = nothing) -> SourcePlan | SourceFailure:
    """Cut a source into segments.

    A video is cut at key frames near multiples of `recipe.segment_s`; one that cannot be cut (no key frames after the
    first, no time stamps or some twice, an animated GIF) is one segment. Pictures are cut into groups of
    `recipe.segment_images`.

    Args:
        spec: the source.
        recipe: says how long segments are.
        beat: told of each answer of the disk or the store.

    Returns:
        The plan, or why there is none: the place does not give the file, it cannot be opened, has no video, or not one
        frame can be decoded.
    """
    if spec.kind == "images":
        count = len(spec.files)
        starts = list(range(0, count, recipe.segment_images))
        ends = [*starts[1:], count]
        segments = tuple(Segment(index, *bounds) for index, bounds in enumerate(zip(starts, ends, strict=True)))
        return SourcePlan(spec, segments, count, None, None)
    try:
        with open_clip(spec.uri, beat) as clip:
            first = next(read_window(clip, None, None, Notes()), None)
            if first is None:
                raise GcposeError(no_frames(spec.uri))
            height, width = first[1].shape[:2]
            cuts = find_cuts(clip, recipe.segment_s)
    except GcposeError as error:
        return SourceFailure(spec.uri, str(error), spec.id)
    segments = tuple(
        Segment(index, start, end) for index, (start, end) in enumerate(zip([None, *cuts], [*cuts, None], strict=True))
    )
    return SourcePlan(spec, segments, clip.frames, clip.rate, (height, width))
