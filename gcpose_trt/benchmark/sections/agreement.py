"""How far the poses of two contenders are apart that should find the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.compare.matching import match
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.preprocess import SizeRule, fit

OVERLAP = 0.5  # intersection over union from which two boxes are the same person


def same_input(first: str, second: str, frame: tuple[int, int]) -> bool:
    """Say whether two contenders look at a frame in the same size.

    Args:
        first, second: size rules in words, see `ContenderInfo`; "long side 512" and "288x512" are the same for a frame
            of 16:9.
        frame: its (height, width) in pixels.
    """
    if first == second:
        return True
    rules = _rule(first), _rule(second)
    return None not in rules and len({fit(frame, rule).content for rule in rules if rule}) == 1


def _rule(words: str) -> SizeRule | None:
    if match_ := re.fullmatch(r"(\d+)x(\d+)", words):
        return SizeRule(exact=(int(match_[1]), int(match_[2])))
    match_ = re.fullmatch(r"(?:short side (\d+), )?long side (?:up to )?(\d+)", words)
    return SizeRule(short=int(match_[1]) if match_[1] else None, long=int(match_[2])) if match_ else None


def agreement(reference: Sequence[PoseFrame], other: Sequence[PoseFrame], threshold: float) -> dict[str, Any]:
    """Compare poses frame by frame.

    Args:
        reference: what should be found.
        other: what was found in the same frames.
        threshold: joints of the reference that are at least so sure are compared, whatever the other thinks of them.

    Returns:
        "frames", "people" (of the reference), "missing" (of those), "extra" (of the other's), "score_difference" (the
        largest of the boxes' scores, None if nobody was found by both), "joints" (compared) and "joint_pixels":
        {"median", "p99", "max"} of their distances in pixels of the frame, None if there are none.
    """
    people = missing = extra = 0
    scores: list[NDArray[np.float64]] = [np.zeros(0)]
    distances: list[NDArray[np.float64]] = [np.zeros(0)]
    for ours, theirs in zip(reference, other, strict=True):
        pairs = match(ours.boxes, theirs.boxes, OVERLAP)
        rows, columns = pairs[:, 0], pairs[:, 1]
        people += len(ours)
        missing += len(ours) - len(pairs)
        extra += len(theirs) - len(pairs)
        scores.append(np.abs(ours.scores[rows].astype(float) - theirs.scores[columns]))
        between = ours.keypoints[rows, :, :2].astype(float) - theirs.keypoints[columns, :, :2]
        distances.append(np.linalg.norm(between, axis=-1)[ours.keypoints[rows, :, 2] >= threshold])
    score, pixels = np.concatenate(scores), np.concatenate(distances)
    return {
        "frames": len(reference),
        "people": people,
        "missing": missing,
        "extra": extra,
        "score_difference": float(score.max()) if len(score) else None,
        "joints": len(pixels),
        "joint_pixels": _percentiles(pixels),
    }


def _percentiles(values: NDArray[np.float64]) -> Mapping[str, float | None]:
    if not len(values):
        return dict.fromkeys(("median", "p99", "max"))
    median, p99 = np.percentile(values, [50, 99])
    return {"median": float(median), "p99": float(p99), "max": float(values.max())}
