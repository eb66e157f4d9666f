"""People who walk, cross and hide each other, as a faulty network would see them, and what a tracker made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.pose import PoseFrame
from gcpose_trt.pose.tracking.assignment import assign

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FRAME = np.array([1280.0, 720.0])
GHOST = 0  # the truth of a false positive; people count from 1
# A standing body in parts of its height: x from the middle, y from the top.
BODY = np.array(
    [
        *((0.0, 0.08), (0.015, 0.065), (-0.015, 0.065), (0.035, 0.075), (-0.035, 0.075)),
        *((0.1, 0.2), (-0.1, 0.2), (0.13, 0.35), (-0.13, 0.35), (0.14, 0.5), (-0.14, 0.5)),
        *((0.06, 0.52), (-0.06, 0.52), (0.065, 0.75), (-0.065, 0.75), (0.07, 0.97), (-0.07, 0.97)),
    ]
)
_SWING = {7: 0.05, 8: -0.05, 9: 0.12, 10: -0.12, 13: -0.06, 14: 0.06, 15: -0.14, 16: 0.14}


@dataclass(frozen=True)
class Faults:
    """What a network does wrong.

    Attributes:
        joint_noise, box_noise: standard deviations in parts of the person's height.
        outliers: share of joints that are somewhere else in the box.
        missed: share of people in sight that are not found.
        ghosts: false positives a second; each lasts about 0.15 s.
    """

    joint_noise: float = 0.012
    box_noise: float = 0.02
    outliers: float = 0.02
    missed: float = 0.05
    ghosts: float = 1.0


def scene(
    people: int, rate: float, seconds: float, seed: int, faults: Faults = Faults()
) -> Iterator[tuple[float, PoseFrame, Ints]]:
    """Yield the time of each frame, the people found in it, best first, and who they are in truth.

    People walk up and down the frame at their own speeds, at depths so close that they often cross; who stands behind
    another by more than half is not found for as long as that lasts.
    """
    rng = np.random.default_rng(seed)
    height = rng.uniform(180, 330, people)
    start = rng.uniform(0.1, 0.9, people)
    speed = rng.uniform(0.3, 1.0, people) * rng.choice([-1, 1], people)  # heights a second
    ghosts: list[tuple[float, Floats, Floats, float]] = []
    for frame in range(round(seconds * rate)):
        time_s = frame / rate
        joints = np.stack([_body(*who, time_s) for who in zip(height, start, speed, strict=True)])
        boxes = _boxes(joints, 0.05 * height)
        seen = (_hidden(boxes, height) < 0.5) & (rng.uniform(size=people) >= faults.missed)
        found = [_found(rng, boxes[row], joints[row], height[row], faults) for row in np.flatnonzero(seen)]
        truth = (np.flatnonzero(seen) + 1).tolist()
        if rng.uniform() < faults.ghosts / rate:
            tall = rng.uniform(120, 350)
            place = rng.uniform([100, 0.5 * tall], FRAME - [100, 0.5 * tall])
            body = place + (BODY - [0, 0.5]) * tall
            ghosts.append((time_s + rng.exponential(0.15), body, _boxes(body[None], np.array([20.0]))[0], tall))
        ghosts = [ghost for ghost in ghosts if ghost[0] > time_s]
        for _, body, box, tall in ghosts:
            noisy, joints_found, _ = _found(rng, box, body, tall, faults)
            found.append((noisy, joints_found, rng.uniform(0.3, 0.65)))
            truth.append(GHOST)
        order = np.argsort([-score for *_, score in found], kind="stable")
        if not len(order):
            yield time_s, PoseFrame.empty(), np.zeros(0, np.int64)
            continue
        columns = [np.array([found[row][part] for row in order]) for part in range(3)]
        yield time_s, PoseFrame(columns[0], columns[2], columns[1]), np.array(truth)[order]


def _body(height: float, start: float, speed: float, time_s: float) -> Floats:
    """Return the joints (17, 2) of somebody who walks from side to side and slows down to turn."""
    width = FRAME[0] - 160
    # A triangle wave with rounded ends.
    turn = 2 * np.pi * (start + speed * height * time_s / (2 * width))
    x = 80 + width * (0.5 + np.arcsin(0.98 * np.sin(turn)) / np.pi)
    y = 0.35 * FRAME[1] + 0.9 * (height - 180)
    step = np.sin(2 * np.pi * (time_s * (0.6 + abs(speed)) + start))
    joints = BODY.copy()
    for joint, reach in _SWING.items():
        joints[joint, 0] += reach * step
    placed: Floats = np.array([x, y]) + (joints - [0, 0.5]) * height
    return placed


def _boxes(joints: Floats, margin: Floats) -> Floats:
    grown = margin[:, None]
    return np.clip(np.hstack([joints.min(axis=1) - grown, joints.max(axis=1) + grown]), 0, np.tile(FRAME, 2))


def _hidden(boxes: Floats, height: Floats) -> Floats:
    """Return how much of each box the nearest (tallest) other in front covers, 0..1."""
    corner = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    sides = np.maximum(np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - corner, 0)
    share = sides.prod(axis=2) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)[:, None]
    covered: Floats = np.where(height[None] > height[:, None], share, 0).max(axis=1)
    return covered


def _found(
    rng: np.random.Generator, box: Floats, joints: Floats, height: float, faults: Faults
) -> tuple[Floats, Floats, float]:
    noisy = joints + rng.normal(0, faults.joint_noise * height, joints.shape)
    confidence = rng.uniform(0.2, 0.8, len(joints))
    wrong = rng.uniform(size=len(joints)) < faults.outliers
    noisy[wrong] = rng.uniform(box[:2], box[2:], (int(wrong.sum()), 2))
    confidence[wrong] = rng.uniform(0.02, 0.2, int(wrong.sum()))
    edges = np.clip(box + rng.normal(0, faults.box_noise * height, 4), 0, np.tile(FRAME, 2))
    return edges, np.hstack([noisy, confidence[:, None]]), float(np.clip(rng.normal(0.8, 0.12), 0.3, 1))


def score(truth: list[Ints], ids: list[Ints]) -> dict[str, float]:
    """Return how well ids followed people.

    Args:
        truth: of each frame, who the people found are; 0 is a false positive.
        ids: what the tracker called them; -1 is nobody.

    Returns:
        "found": people found; "switches": times that a person's id was not the one before; "fragments": times that a
        person who had an id was found without and later with one; "ghost_ids": ids given to false positives only;
        "idf1": 2 IDTP / (people found + ids given), by the one-to-one map of people to ids with the greatest overlap
        (Ristani et al. 2016). People that the network missed count for none of them.
    """
    who, given = np.concatenate(truth), np.concatenate(ids)
    switches = fragments = 0
    for person in np.unique(who[who > GHOST]):
        called = given[who == person]
        known = called[called > 0]
        switches += int((np.diff(known) != 0).sum())
        after_first = called[int((called > 0).argmax()) :] > 0 if len(known) else np.zeros(0, bool)
        fragments += int((np.diff(after_first.astype(int)) == 1).sum())
    people, numbers = np.unique(who[who > GHOST]), np.unique(given[given > 0])
    overlap = np.array(
        [[((who == person) & (given == number)).sum() for number in numbers] for person in people], float
    )
    right = sum(overlap[pair] for pair in assign(overlap, 0.0)) if overlap.size else 0.0
    total = int((who > GHOST).sum())
    return {
        "found": total,
        "switches": switches,
        "fragments": fragments,
        "ghost_ids": len(set(given[(who == GHOST) & (given > 0)].tolist()) - set(given[who > GHOST].tolist())),
        "idf1": float(2 * right / max(total + int((given > 0).sum()), 1)),
    }
