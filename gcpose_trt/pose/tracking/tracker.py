"""Numbers for people that stay with them: assignment by joints and boxes, a Kalman filter for the time between."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.tracking.assignment import assign
from gcpose_trt.pose.tracking.kalman import KalmanFilter
from gcpose_trt.pose.tracking.similarity import areas, iou, oks
from gcpose_trt.pose.types import KEYPOINTS, PoseFrame

Floats = NDArray[np.float64]

NOBODY = -1


@dataclass(frozen=True)
class TrackerOptions:
    """How people are followed. Times are seconds, sizes fractions of the person's (square root of the box's area).

    Attributes:
        min_similarity: least mean of joints' and boxes' similarity for a person to be the same, 0..1.
        joints: how much of that mean the joints make out, where they are certain; the rest is the boxes'.
        birth_score: score from which somebody new is followed.
        sure_score: score from which somebody new has an id at once; others get it when seen for `confirm_s`.
        confirm_s: see `sure_score`. Until then one miss for as long ends the track.
        max_gap_s: how long someone may be out of sight and come back as the same; less for those whose scores were
            below `sure_score`, in proportion.
        max_step_s: frames further apart than this have nothing to do with each other.
        duplicate: similarity of joints or of boxes to somebody in sight from which a person is not somebody new.
        absence: part of the similarity that is lost on the way to `max_gap_s` out of sight: of two who could be a
            person, it is the one seen last.
        agility: how much the velocity changes: standard deviation, sizes a second, gained in one second.
        speed: standard deviation of the velocity of someone new, sizes a second.
        noise: standard deviation of boxes' centres and sides.
    """

    min_similarity: float = 0.1
    joints: float = 0.5
    birth_score: float = 0.4
    sure_score: float = 0.7
    confirm_s: float = 0.1
    max_gap_s: float = 1.0
    max_step_s: float = 3.0
    duplicate: float = 0.6
    absence: float = 0.3
    agility: float = 0.5
    speed: float = 1.0
    noise: float = 0.05

    def __post_init__(self) -> None:
        for name in ("min_similarity", "joints", "birth_score", "sure_score", "duplicate", "absence"):
            if not 0 <= getattr(self, name) <= 1:
                raise GcposeError(f"tracker option {name} is {getattr(self, name)}; choose a number from 0 to 1")
        for name in ("confirm_s", "max_gap_s", "max_step_s", "agility", "speed", "noise"):
            if not 0 <= getattr(self, name) < math.inf:
                raise GcposeError(f"tracker option {name} is {getattr(self, name)}; choose a number of at least 0")


class Tracker:
    """Gives people ids, from 1, that stay with them through a clip and are never given to somebody else.

    Each frame the tracks are moved on to its time; then people certain enough to be born are assigned to them, then the
    less certain people to the tracks that are left. Who is out of sight goes on being moved for a while. The time of a
    frame counts, not its number: any frame rate does, and it may change.

    A step back in time of at most `max_gap_s` is a clock put right: people stay who they are, as if no time had
    passed, and their velocities are forgotten. After a longer one (a file that starts again) and after a step forward
    of more than `max_step_s` everybody is new.

    Not for several threads at once.
    """

    def __init__(self, options: TrackerOptions = TrackerOptions()) -> None:
        self.options = options
        self._next_id = 1
        self._forget()

    def __len__(self) -> int:
        """How many tracks there are, with those out of sight and those not confirmed."""
        return len(self._filter)

    def reset(self) -> None:
        """Forget everybody; ids go on where they were."""
        self._forget()

    def update(self, poses: PoseFrame, time_s: float) -> PoseFrame:
        """Say who is who.

        Args:
            poses: the people of one frame.
            time_s: when it was taken, in seconds of any clock.

        Returns:
            The same people in the same order with `ids`; -1 is somebody not followed (yet).

        Raises:
            GcposeError: the time is not finite.
        """
        if not math.isfinite(time_s):
            raise GcposeError(f"a frame's time is {time_s}; give seconds")
        self._move_on(time_s)
        boxes, keypoints = poses.boxes.astype(np.float64), poses.keypoints.astype(np.float64)
        scores = poses.scores.astype(np.float64)
        sane = np.isfinite(boxes).all(axis=1) & (areas(boxes) > 0)
        similarity = self._similarity(boxes, keypoints)
        track_of = self._assign(similarity, scores, sane)
        matched = np.flatnonzero(track_of >= 0)
        self._correct(track_of[matched], boxes[matched], keypoints[matched], scores[matched])
        new = self._strangers(boxes, keypoints, scores, sane & (track_of < 0), matched)
        track_of[new] = len(self) + np.arange(len(new))
        self._bear(boxes[new], keypoints[new], scores[new])
        self._confirm()
        ids = np.where(track_of >= 0, np.append(self._ids, NOBODY)[track_of], NOBODY)
        self._bury()
        return PoseFrame(poses.boxes, poses.scores, poses.keypoints, ids)

    def _forget(self) -> None:
        self._time: float | None = None
        self._filter = KalmanFilter(4)  # x and y of the centre, width, height
        self._ids = np.zeros(0, np.int64)
        self._keypoints = np.zeros((0, KEYPOINTS, 3))  # as last seen
        self._centre = np.zeros((0, 2))  # the filter's, when last seen
        self._size = np.zeros((0, 2))  # width and height when last seen
        self._score = np.zeros(0)
        self._seen_s = np.zeros(0)  # from the first to the last time seen
        self._unseen_s = np.zeros(0)

    @property
    def _scale(self) -> Floats:
        """The people's sizes (T, 1) in pixels."""
        scale: Floats = np.sqrt(self._size.prod(axis=1))[:, None]
        return scale

    def _move_on(self, time_s: float) -> None:
        step = 0.0 if self._time is None else time_s - self._time
        if step > self.options.max_step_s or step < -self.options.max_gap_s:
            self._forget()
        elif step < 0:
            self._filter.stop((self.options.speed * self._scale) ** 2)
            step = 0.0
        self._time = time_s
        if len(self):
            self._filter.predict(step, (self.options.agility * self._scale) ** 2)
            self._unseen_s = self._unseen_s + step

    def _similarity(self, boxes: Floats, keypoints: Floats) -> Floats:
        """Return how alike the tracks, as they should be now, and people are: (T, N), 0..1."""
        if not len(self) or not len(boxes):
            return np.zeros((len(self), len(boxes)))
        centre = self._filter.position[:, :2]
        # Someone out of sight for a second does not shrink to nothing, whatever the last frames suggested.
        sides = np.clip(self._filter.position[:, 2:], 0.5 * self._size, 2 * self._size)
        here = self._keypoints.copy()
        here[..., :2] += (centre - self._centre)[:, None]
        blur = self._filter.variance[:, :2].mean(axis=1)
        by_joints, weight = oks(here, keypoints, sides.prod(axis=1), blur)
        by_boxes = iou(np.hstack([centre - sides / 2, centre + sides / 2]), boxes)
        # Where joints are guesses the boxes decide.
        share = self.options.joints * np.minimum(weight / 0.1, 1)
        absent = np.minimum(self._unseen_s / max(self.options.max_gap_s, 1e-9), 1)
        likeness: Floats = share * by_joints + (1 - share) * by_boxes
        return likeness * (1 - self.options.absence * absent)[:, None]

    def _assign(self, similarity: Floats, scores: Floats, sane: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return each person's track (N,), or -1."""
        track_of = np.full(len(scores), -1, np.int64)
        free = np.ones(len(self), np.bool_)
        good = scores >= self.options.birth_score
        for group in (np.flatnonzero(good & sane), np.flatnonzero(~good & sane)):
            tracks = np.flatnonzero(free)
            if not len(tracks) or not len(group):
                continue
            for row, column in assign(similarity[np.ix_(tracks, group)], self.options.min_similarity):
                track_of[group[column]] = tracks[row]
                free[tracks[row]] = False
        return track_of

    def _correct(self, tracks: NDArray[np.int64], boxes: Floats, keypoints: Floats, scores: Floats) -> None:
        measured = _centre_and_sides(boxes)
        noise = (self.options.noise**2 * measured[:, 2] * measured[:, 3])[:, None]
        self._filter.correct(tracks, measured, noise)
        self._keypoints[tracks] = np.where(np.isfinite(keypoints), keypoints, 0)
        self._centre[tracks] = self._filter.position[tracks, :2]
        self._size[tracks] = measured[:, 2:]
        self._seen_s[tracks] += self._unseen_s[tracks]
        # A mean over about half a second: one poor frame does not shorten a life, many do.
        weight = 1 - np.exp(-np.maximum(self._unseen_s[tracks], 1e-3) / 0.5)
        self._score[tracks] += weight * (scores - self._score[tracks])
        self._unseen_s[tracks] = 0

    def _strangers(
        self, boxes: Floats, keypoints: Floats, scores: Floats, loose: NDArray[np.bool_], matched: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the people to be born: certain enough, and no second sight of somebody who is there already."""
        new: list[int] = []
        there = matched.tolist()
        for row in np.flatnonzero(loose & (scores >= self.options.birth_score)).tolist():
            if there:
                by_joints, _ = oks(keypoints[[row]], keypoints[there], areas(boxes[[row]]))
                alike = np.maximum(by_joints, iou(boxes[[row]], boxes[there]))
                if alike.max() > self.options.duplicate:
                    continue
            there.append(row)
            new.append(row)
        return np.array(new, np.int64)

    def _bear(self, boxes: Floats, keypoints: Floats, scores: Floats) -> None:
        if not len(boxes):
            return
        measured = _centre_and_sides(boxes)
        area = (measured[:, 2] * measured[:, 3])[:, None]
        self._filter.append(measured, self.options.noise**2 * area, self.options.speed**2 * area)
        self._ids = np.append(self._ids, np.full(len(boxes), NOBODY))
        self._keypoints = np.concatenate([self._keypoints, np.where(np.isfinite(keypoints), keypoints, 0)])
        self._centre = np.concatenate([self._centre, measured[:, :2]])
        self._size = np.concatenate([self._size, measured[:, 2:]])
        self._score = np.append(self._score, scores)
        self._seen_s = np.append(self._seen_s, np.zeros(len(boxes)))
        self._unseen_s = np.append(self._unseen_s, np.zeros(len(boxes)))

    def _confirm(self) -> None:
        """Number the tracks in sight that are certain or old enough."""
        old = (self._seen_s > 0) & (self._seen_s >= self.options.confirm_s - 1e-9)
        ready = (self._ids < 0) & (self._unseen_s == 0) & (old | (self._score >= self.options.sure_score))
        rows = np.flatnonzero(ready)
        self._ids[rows] = self._next_id + np.arange(len(rows))
        self._next_id += len(rows)

    def _bury(self) -> None:
        """Forget who was not seen for too long."""
        if not len(self):
            return
        sure = max(self.options.sure_score, 1e-9)
        patience = self.options.max_gap_s * np.minimum(self._score / sure, 1)
        patience = np.where(self._ids < 0, np.minimum(patience, self.options.confirm_s), patience)
        alive = (self._unseen_s == 0) | (self._unseen_s <= patience)
        if not alive.all():
            self._filter.keep(alive)
            for name in ("_ids", "_keypoints", "_centre", "_size", "_score", "_seen_s", "_unseen_s"):
                setattr(self, name, getattr(self, name)[alive])


def _centre_and_sides(boxes: Floats) -> Floats:
    return np.hstack([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]])
