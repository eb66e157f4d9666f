"""Cutting sources into segments."""

from __future__ import annotations

from contextlib import closing

from gcpose_trt.batch.reading import open_file
from gcpose_trt.batch.types import Recipe, Segment, SourceFailure, SourcePlan, SourceSpec
from gcpose_trt.errors import GcposeError
from gcpose_trt.video.clips import no_frames
from gcpose_trt.video.segments import Clip, Notes, find_cuts, read_window


def plan_source(spec: SourceSpec, recipe: Recipe) -> SourcePlan | SourceFailure:
    """Cut a source into segments.

    A video is cut at key frames near multiples of `recipe.segment_s`; one that cannot be cut (no key frames after the
    first, no time stamps or some twice, an animated GIF) is one segment. Pictures are cut into groups of
    `recipe.segment_images`.

    Returns:
        The plan, or why there is none: the file cannot be opened, has no video, or not one frame can be decoded.
    """
    if spec.kind == "images":
        count = len(spec.files)
        starts = list(range(0, count, recipe.segment_images))
        ends = [*starts[1:], count]
        segments = tuple(Segment(index, *bounds) for index, bounds in enumerate(zip(starts, ends, strict=True)))
        return SourcePlan(spec, segments, count, None, None)
    try:
        with closing(open_file(spec.uri)) as opened, Clip(opened.file, spec.uri) as clip:
            first = next(read_window(clip, None, None, Notes()), None)
            opened.check()
            if first is None:
                raise GcposeError(no_frames(spec.uri))
            height, width = first[1].shape[:2]
            cuts = find_cuts(clip, recipe.segment_s)
            opened.check()
    except GcposeError as error:
        return SourceFailure(spec.uri, str(error), spec.id)
    segments = tuple(
        Segment(index, start, end) for index, (start, end) in enumerate(zip([None, *cuts], [*cuts, None], strict=True))
    )
    return SourcePlan(spec, segments, clip.frames, clip.rate, (height, width))
