"""Two networks on the same frames, stage by stage.

Differences of one stage feed the next, so that a late stage says little about itself. Where a backend can run a part
alone, the part of B is therefore also fed with what A computed before it: the box branch with A's maps and proposals,
the keypoint branch with A's P2 and people. Those stages are marked "A's inputs"; the others are end to end.
Inside the detector the proposals are compared end to end only: they are the backbone's first consequence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.compare.matching import match
from gcpose_trt.compare.measure import Difference, Gauge
from gcpose_trt.compare.side import Detected, Side
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.preprocess import Image, Letterbox, SizeRule, fit, place

Array = NDArray[Any]

SAME_PERSON = 0.5  # intersection over union from which two boxes are of one person
SAME_PROPOSAL = 0.7  # what the proposals' own suppression counts as the same

END_TO_END = "end to end"
A_INPUTS = "A's inputs"


@dataclass(frozen=True)
class Limits:
    """From where on a difference is too much; a comparison fails if any is passed.

    The defaults let FP16 pass and stop what shows in a picture.

    Attributes:
        feature: largest difference of a map or of logits, in parts of the map's largest value.
        box: pixels of the network's input, 95th percentile over the corners of people's boxes.
        score: 95th percentile over people's scores.
        keypoint: pixels of the network's input that clear joints move, 95th percentile.
        people: people gained and lost, in parts of A's people.
        proposals: share of A's proposals that B does not have.
    """

    feature: float = 0.03
    box: float = 2.0
    score: float = 0.03
    keypoint: float = 1.5
    people: float = 0.02
    proposals: float = 0.15


@dataclass(frozen=True)
class Stage:
    """One row of the table: the difference and what was asked of it.

    Attributes:
        name: of the stage.
        feed: `END_TO_END` or `A_INPUTS`.
        unit: "" or "px" (pixels of the network's input).
        difference: of all frames.
        judged: name of the field of `difference` that the limit is for, or "" if the stage has no limit.
        limit: what that may be.
    """

    name: str
    feed: str
    unit: str
    difference: Difference
    judged: str = ""
    limit: float = math.inf

    @property
    def agrees(self) -> bool:
        """Whether the limit holds; NaN is beyond every limit."""
        return not self.judged or getattr(self.difference, self.judged) <= self.limit


@dataclass
class People:
    """Who was found by both, only by B (gained) and only by A (lost); (frame, score) of the latter two."""

    matched: int = 0
    gained: list[tuple[int, float]] = field(default_factory=list)
    lost: list[tuple[int, float]] = field(default_factory=list)

    @property
    def changed(self) -> float:
        """People gained and lost in parts of A's people."""
        return (len(self.gained) + len(self.lost)) / max(1, self.matched + len(self.lost))


@dataclass(frozen=True)
class Worst:
    """The frame on which the sides differ most, in pixels of the network's input."""

    index: int
    image: Image
    a: PoseFrame
    b: PoseFrame
    moved: float  # pixels, the clear joint that moved most


@dataclass(frozen=True)
class Comparison:
    """What `compare_sides` found."""

    a: str
    b: str
    frames: int
    stages: tuple[Stage, ...]
    people: People
    proposals_matched: float | None  # share of A's
    limits: Limits
    absent: dict[str, str]
    worst: Worst

    @property
    def failures(self) -> list[str]:
        """What is beyond its limit, by name."""
        names = [f"{stage.name} ({stage.feed})" for stage in self.stages if not stage.agrees]
        if not self.people.changed <= self.limits.people:
            names.append("people")
        if self.proposals_matched is not None and not 1 - self.proposals_matched <= self.limits.proposals:
            names.append("proposals matched")
        return names


def size_rule(a: Side, b: Side, wanted: SizeRule | None) -> SizeRule:
    """Return the one letterbox rule of both sides: what is asked for, else a fixed size of either, else A's own.

    Raises:
        GcposeError: the sides, or a side and the wish, have different fixed sizes.
    """
    fixed = {side.info.size: side.label for side in (a, b) if side.info.size is not None}
    if len(fixed) > 1:
        sizes = " and ".join(f"{label} takes {_text(size)}" for size, label in fixed.items())
        raise GcposeError(f"{sizes}, nothing fits both; export or build one of them at the other's size")
    if not fixed:
        return wanted or a.info.size_rule
    ((size, label),) = fixed.items()
    if wanted is not None and wanted.exact != size:
        raise GcposeError(f"{label} takes inputs of {_text(size)} only; leave --size out")
    return SizeRule(exact=size, divisor=a.info.divisor)


def _text(size: tuple[int, int] | None) -> str:
    return "any" if size is None else f"{size[0]}x{size[1]}"


def compare_sides(
    a: Side,
    b: Side,
    frames: Sequence[Image],
    rule: SizeRule,
    limits: Limits | None = None,
    *,
    min_score: float | None = None,
    progress: Callable[[Iterable[Image]], Iterable[Image]] = iter,
) -> Comparison:
    """Run both sides over the frames.

    Args:
        a, b: the reference and what is measured against it.
        frames: BGR (h, w, 3) uint8, with people in them.
        rule: size of both networks' input, see `size_rule`.
        limits: None takes the defaults.
        min_score: score from which a box is a person; None takes A's own.
        progress: wraps the iteration over the frames.

    Raises:
        GcposeError: neither side finds anybody.
    """
    limits = limits or Limits()
    run = _Run(a, b, a.info.min_score if min_score is None else min_score)
    for index, frame in enumerate(progress(frames)):
        box = fit((frame.shape[0], frame.shape[1]), rule)
        run.add(index, place(frame, box), box)
    if run.worst is None:
        raise GcposeError("nobody was found in the frames by either side; give images with people with --images")
    return Comparison(
        a=a.label,
        b=b.label,
        frames=len(frames),
        stages=tuple(run.stages(limits)),
        people=run.people,
        proposals_matched=run.proposals_matched,
        limits=limits,
        absent=run.absent,
        worst=run.worst,
    )


class _Run:
    """What is gathered over the frames."""

    def __init__(self, a: Side, b: Side, min_score: float) -> None:
        self._a, self._b, self._min_score = a, b, min_score
        self._gauges: dict[tuple[str, str], Gauge] = {}
        self._proposals = [0, 0]  # in A, and of those in B
        self.people = People()
        self.worst: Worst | None = None
        self._worst_key = (-1.0, -1.0)
        self.absent: dict[str, str] = {}
        for side in (b, a):
            self.absent |= {stage: f"{side.label}: {why}" for stage, why in side.absent.items()}

    @property
    def proposals_matched(self) -> float | None:
        """Share of A's proposals that B has too."""
        return self._proposals[1] / self._proposals[0] if self._proposals[0] else None

    def add(self, index: int, image: Image, box: Letterbox) -> None:
        size = np.array([box.content], np.int64)
        found_a = _detect(self._a, self._b, image, size)
        found_b = _detect(self._b, self._a, image, size)
        self._add_maps(found_a, found_b)
        self._add_proposals(found_a, found_b)
        self._add_box_branch(found_a, size)
        people_a, people_b = self._people(found_a), self._people(found_b)
        poses_a, poses_b = self._pose(self._a, found_a, people_a), self._pose(self._b, found_b, people_b)
        self._add_same_people(found_a, people_a, found_b)
        moved, changed = self._add_people(index, poses_a, poses_b)
        if len(poses_a) + len(poses_b) and (changed, moved) > self._worst_key:
            self._worst_key = (changed, moved)
            content = image[: box.content[0], : box.content[1]].copy()
            self.worst = Worst(index, content, poses_a, poses_b, moved)

    def _gauge(self, stage: str, feed: str = END_TO_END) -> Gauge:
        return self._gauges.setdefault((stage, feed), Gauge())

    def _add_maps(self, a: Detected, b: Detected) -> None:
        for stage in [name for name in a.maps if name in b.maps]:
            self._add_map(stage, a.maps[stage], b.maps[stage])
        self._add_map("p2", a.p2, b.p2)

    def _add_map(self, stage: str, a: Array, b: Array) -> None:
        if a.shape != b.shape:
            self.absent[stage] = f"shapes differ, {a.shape} and {b.shape}"
            return
        self._gauge(stage).add(a, b)

    def _add_proposals(self, a: Detected, b: Detected) -> None:
        if a.proposals is None or b.proposals is None or a.proposal_count is None or b.proposal_count is None:
            return
        rows_a = a.proposals[0, : int(a.proposal_count[0])]
        rows_b = b.proposals[0, : int(b.proposal_count[0])]
        pairs = match(rows_a, rows_b, SAME_PROPOSAL)
        self._proposals[0] += len(rows_a)
        self._proposals[1] += len(pairs)
        self._gauge("proposals").add(rows_a[pairs[:, 0]], rows_b[pairs[:, 1]])

    def _add_box_branch(self, a: Detected, size: NDArray[np.int64]) -> None:
        if a.proposals is None or a.proposal_count is None or not a.maps:
            return
        one = np.repeat(size, len(a.count), 0)
        refined_a, refined_b = self._a.refine(a, one), self._b.refine(a, one)
        if refined_a is None or refined_b is None:
            label = self._a.label if refined_a is None else self._b.label
            self.absent.setdefault("box branch", f"{label} cannot run it on A's maps")
            return
        used = slice(0, int(a.proposal_count[0]))
        # The box of what is surely background means nothing.
        likely = refined_a[1][0, used] > self._min_score / 2
        self._gauge("box branch boxes", A_INPUTS).add(refined_a[0][0, used][likely], refined_b[0][0, used][likely])
        self._gauge("box branch scores", A_INPUTS).add(refined_a[1][0, used], refined_b[1][0, used])

    def _people(self, found: Detected) -> NDArray[np.int64]:
        count = int(found.count[0])
        return np.flatnonzero(found.scores[0, :count] >= self._min_score)

    def _pose(self, side: Side, found: Detected, rows: NDArray[np.int64]) -> PoseFrame:
        if not len(rows):
            return PoseFrame.empty()
        posed = side.pose(found.p2, found.boxes[0, rows], np.zeros(len(rows), np.int64))
        return PoseFrame(found.boxes[0, rows], found.scores[0, rows], posed.keypoints)

    def _add_same_people(self, a: Detected, rows: NDArray[np.int64], b: Detected) -> None:
        """Run the keypoint branches of both on A's map and people."""
        if a.p2.shape != b.p2.shape:
            self.absent["keypoint branch"] = "the sides pool from maps of different shapes"
            return
        if not len(rows):
            return
        boxes, image = a.boxes[0, rows], np.zeros(len(rows), np.int64)
        posed_a, posed_b = self._a.pose(a.p2, boxes, image), self._b.pose(a.p2, boxes, image)
        if posed_a.logits is not None and posed_b.logits is not None and posed_a.logits.shape == posed_b.logits.shape:
            self._gauge("logits", A_INPUTS).add(posed_a.logits, posed_b.logits)
        self._add_joints(posed_a.keypoints, posed_b.keypoints, A_INPUTS)

    def _add_joints(self, a: Array, b: Array, feed: str) -> float:
        """Add keypoints (N, 17, 3) of the same people; return the pixels that the farthest clear joint moved."""
        distance = np.hypot(a[..., 0] - b[..., 0], a[..., 1] - b[..., 1])
        # An unclear joint has several places that are equally good, and jumps between them.
        clear = a[..., 2] >= self._a.info.keypoint_threshold
        places = np.hypot(a[..., 0], a[..., 1])
        self._gauge("keypoints, clear", feed).add_distances(distance[clear], places[clear])
        self._gauge("keypoints, all", feed).add_distances(distance, places)
        self._gauge("keypoint scores", feed).add(a[..., 2], b[..., 2])
        return float(distance[clear].max(initial=0.0))

    def _add_people(self, index: int, a: PoseFrame, b: PoseFrame) -> tuple[float, float]:
        pairs = match(a.boxes, b.boxes, SAME_PERSON)
        i, j = pairs[:, 0], pairs[:, 1]
        lost, gained = np.setdiff1d(np.arange(len(a)), i), np.setdiff1d(np.arange(len(b)), j)
        self.people.matched += len(pairs)
        self.people.lost += [(index, float(a.scores[row])) for row in lost]
        self.people.gained += [(index, float(b.scores[row])) for row in gained]
        self._gauge("boxes").add(a.boxes[i], b.boxes[j])
        self._gauge("scores").add(a.scores[i], b.scores[j])
        return self._add_joints(a.keypoints[i], b.keypoints[j], END_TO_END), float(len(lost) + len(gained))

    def stages(self, limits: Limits) -> list[Stage]:
        """Return every stage that was measured, in the network's order."""
        rows = []
        for (name, feed), gauge in sorted(self._gauges.items(), key=lambda item: _place(*item[0])):
            unit, judged, limit = _asked(name, limits)
            rows.append(Stage(name, feed, unit, gauge.read(), judged, limit))
        return rows


_ORDER = ("pyramid", "box prior", "p2", "proposals", "box branch", "boxes", "scores", "logits", "keypoint")


def _place(name: str, feed: str) -> tuple[int, bool, str]:
    return next(i for i, start in enumerate(_ORDER) if name.startswith(start)), feed == END_TO_END, name


def _asked(name: str, limits: Limits) -> tuple[str, str, float]:
    """Return unit, field of `Difference` that is judged, and limit of a stage."""
    if name.startswith(("pyramid", "box prior", "p2", "logits")):
        return "", "relative_largest", limits.feature
    if name == "keypoints, clear":
        return "px", "p95", limits.keypoint
    if name in ("boxes", "box branch boxes"):
        return "px", "p95", limits.box
    if name in ("scores", "box branch scores"):
        return "", "p95", limits.score
    return ("px" if name in ("proposals", "keypoints, all") else ""), "", math.inf


def _detect(side: Side, other: Side, image: Image, size: NDArray[np.int64]) -> Detected:
    """Run one frame; a side of a fixed batch gets it that often, and so does the other if it takes any."""
    batch = side.batch_limit or other.batch_limit or 1
    return side.detect(np.repeat(image[None], batch, 0), np.repeat(size, batch, 0))
