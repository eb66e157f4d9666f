"""Frames with each contender's skeletons, as the rest of the toolkit draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gcpose_trt.assets import SAMPLE
from gcpose_trt.benchmark.clip import digest
from gcpose_trt.benchmark.reporting.view import Entry, View
from gcpose_trt.benchmark.reporting.words import look, number
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.drawing import draw_poses
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.video.sources import open_source

Image = NDArray[np.uint8]

_WIDEST = 960  # pixels of a picture in the report
_QUALITY = 82
_MOST_PIXELS = 40_000_000
_GROUND = (38, 34, 30)  # BGR, below skeletons whose frame is not at hand


@dataclass(frozen=True)
class Sample:
    """A frame as one contender saw it.

    Attributes:
        frame: its number in the clip, from 0.
        entry: the contender.
        people: how many it found.
        jpeg: the picture.
        bare: the frame itself was not at hand.
    """

    frame: int
    entry: Entry
    people: int
    jpeg: bytes
    bare: bool

    @property
    def name(self) -> str:
        """The file's name."""
        return f"frame-{self.frame:06d}-contender-{self.entry.index + 1}.jpg"


def draw_samples(view: View, clip: Path | None) -> list[Sample]:
    """Draw what section samples holds, frame by frame.

    Args:
        view: of the report.
        clip: what the frames were taken from; None takes the sample clip that comes with the package, if it is that
            one, else skeletons are drawn on a plain ground.

    Raises:
        GcposeError: `clip` is another clip than that of the report, or cannot be read.
    """
    wanted = _wanted(view)
    if not wanted:
        return []
    place = _clip(view, clip)
    pictures = _frames(place, set(wanted)) if place is not None else {}
    samples = []
    for index, poses in wanted.items():
        picture = pictures.get(index)
        ground = _ground(view) if picture is None else picture
        if ground is None:
            continue
        for entry in view.entries:
            found = poses.get(entry.id)
            sample = _sample(ground, index, entry, found, picture is None) if isinstance(found, Mapping) else None
            if sample:
                samples.append(sample)
    return samples


def _wanted(view: View) -> dict[int, Mapping[str, Any]]:
    """Return the poses by contender of each frame, by its number."""
    found = view.get("samples")
    wanted = {}
    for sample in found if isinstance(found, list) else []:
        index, poses = number(look(sample, "frame")), look(sample, "poses")
        if index is not None and index >= 0 and isinstance(poses, Mapping):
            wanted[int(index)] = poses
    return dict(sorted(wanted.items()))


def _sample(ground: Image, index: int, entry: Entry, record: Mapping[str, Any], bare: bool) -> Sample | None:
    try:
        poses = PoseFrame.from_dict(dict(record))
    except (GcposeError, OverflowError):
        return None  # of a report that somebody edited: the others' are shown
    threshold = number(entry.record.get("keypoint_threshold"))
    drawn = draw_poses(ground, poses, keypoint_threshold=0.05 if threshold is None else min(max(threshold, 0.0), 1.0))
    if drawn.shape[1] > _WIDEST:
        size = (_WIDEST, max(1, round(drawn.shape[0] * _WIDEST / drawn.shape[1])))
        drawn = np.asarray(cv2.resize(drawn, size, interpolation=cv2.INTER_AREA), np.uint8)
    done, data = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return Sample(index, entry, len(poses), data.tobytes(), bare) if done else None


def _ground(view: View) -> Image | None:
    """Return a plain picture of the clip's size."""
    width, height = number(view.get("clip", "width")), number(view.get("clip", "height"))
    if width is None or height is None or min(width, height) < 1 or width * height > _MOST_PIXELS:
        return None
    return np.full((int(height), int(width), 3), _GROUND, np.uint8)


def _clip(view: View, clip: Path | None) -> Path | None:
    wanted = view.get("clip", "sha256")
    if clip is not None:
        if wanted and digest(clip) != wanted:
            raise GcposeError(f"{clip} is not the clip that was measured; give the same one, or leave --clip out")
        return clip
    return SAMPLE if SAMPLE.is_file() and digest(SAMPLE) == wanted else None


def _frames(clip: Path, wanted: set[int]) -> dict[int, Image]:
    """Return the frames with these numbers; a clip is read no further than the last of them."""
    found: dict[int, Image] = {}
    with open_source(clip) as source:
        for frame in source:
            if frame.index in wanted:
                found[frame.index] = frame.image
            if len(found) == len(wanted):
                break
    return found
