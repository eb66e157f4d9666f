"""Id switches, jitter and lag, with and without tracking and smoothing: on synthetic people with known truth and clips.

People come from simulated networks with faults, and with --clips from the shipped network on real clips.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.clip_tracks import MARKS, ids_at, poses_of
from benchmarks.common import parser, record, run, statistics, write
from benchmarks.naive_tracker import NaiveTracker
from benchmarks.synthetic_motion import NOISE, jitter, trial
from benchmarks.synthetic_tracks import scene, score
from gcpose_trt import PoseEstimator
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose import PoseFrame, smoothing
from gcpose_trt.pose.smoothing import Smoother
from gcpose_trt.pose.tracking import Tracker, TrackerOptions
from gcpose_trt.pose.tracking.assignment import assign

RATES = (5, 10, 15, 30, 60)
PEOPLE = (2, 4, 8)
STRENGTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
CUTOFFS, RESPONSES, SPEED_CUTOFFS = (0.3, 1.0), (3.0, 10.0, 20.0), (0.7, 1.5)
TRACKERS: dict[str, Callable[[], Any]] = {
    "naive IoU, greedy": NaiveTracker,
    "boxes alone": lambda: Tracker(TrackerOptions(joints=0)),
    "greedy assignment": Tracker,
    "ours": Tracker,
}


def greedy(similarity: np.ndarray, minimum: float) -> list[tuple[int, int]]:
    """Return the pairs that taking the best pair first gives, for comparison with the best sum."""
    left, pairs = similarity.copy(), []
    while left.size and left.max() >= max(minimum, 1e-12):
        row, column = divmod(int(left.argmax()), left.shape[1])
        pairs.append((row, column))
        left[row], left[:, column] = 0, 0
    return pairs


def synthetic_ids(seeds: int, seconds: float) -> dict[str, dict[str, dict[str, float]]]:
    """Return for each tracker and frame rate the sums over all scenes, and the mean IDF1.

    Seeds begin at 100: the options' defaults were chosen on others.
    """
    result: dict[str, dict[str, dict[str, float]]] = {name: {} for name in TRACKERS}
    for rate in RATES:
        scenes = [list(scene(n, rate, seconds, 100 + seed)) for n in PEOPLE for seed in range(seeds)]
        for name, make in TRACKERS.items():
            scores = []
            for frames in scenes:
                tracker = make()
                with mock.patch(
                    "gcpose_trt.pose.tracking.tracker.assign",
                    greedy if name == "greedy assignment" else assign,
                ):
                    ids = [tracker.update(poses, time_s).ids for time_s, poses, _ in frames]
                scores.append(score([truth for *_, truth in frames], ids))
            total = {key: float(np.sum([one[key] for one in scores])) for key in scores[0]}
            result[name][str(rate)] = {**total, "idf1": round(total["idf1"] / len(scores), 4)}
    return result


def strengths() -> list[dict[str, float]]:
    """Return jitter and lag for each strength, people near and far and frame rates."""
    return [
        {"strength": strength, "rate": rate, "height_px": height, **trial(strength, rate, height)}
        for rate, height in ((30, 300), (30, 100), (15, 300), (60, 300))
        for strength in STRENGTHS
    ]


def constants() -> list[dict[str, float]]:
    """Return jitter and lag at strength 0.6 for other constants of the filter."""
    rows = []
    for cutoff in CUTOFFS:
        for response in RESPONSES:
            for speed in SPEED_CUTOFFS:
                with mock.patch.multiple(smoothing, _CUTOFF_HZ=cutoff, _RESPONSE=response, _SPEED_HZ=speed):
                    rows.append({"cutoff_hz": cutoff, "response": response, "speed_hz": speed, **trial(0.6, 30, 300)})
    return rows


def clip_result(name: str, track: list[tuple[float, PoseFrame]], width: int) -> dict[str, Any]:
    """Return switches of marked people, ids given, and the jitter of the stillest of those seen in most frames."""
    result: dict[str, Any] = {"frames": len(track), "people_found": sum(len(poses) for _, poses in track)}
    for label, tracker in (("naive", NaiveTracker()), ("ours", Tracker())):
        tracked = [tracker.update(poses, time_s) for time_s, poses in track]
        ids = {person: ids_at(marks, tracked, width) for person, marks in MARKS[name].items()}
        known = {person: [one for one in found if one is not None and one > 0] for person, found in ids.items()}
        result[label] = {
            "ids_at_marks": ids,
            "switches": {person: int((np.diff(found) != 0).sum()) for person, found in known.items()},
            "ids_given": len({int(one) for poses in tracked for one in poses.ids if one > 0}),
        }
    result["jitter"] = {str(strength): clip_jitter(tracked, track, strength) for strength in (0.0, 0.3, 0.6, 1.0)}
    # The stillest is chosen without smoothing, and stays the same person with it.
    still = min(result["jitter"]["0.0"], key=lambda one: result["jitter"]["0.0"][one]["sizes"])
    result["stillest"] = {strength: found[still] for strength, found in result["jitter"].items()}
    result["jitter"] = {"person": int(still), **result.pop("stillest")}
    return result


def clip_jitter(
    tracked: list[PoseFrame], track: list[tuple[float, PoseFrame]], strength: float
) -> dict[str, dict[str, float]]:
    """Return the jitter of each person in at least 60% of the frames; joints below 0.05 do not count."""
    smoother = Smoother(strength)
    smoothed = [smoother.update(poses, time_s) for poses, (time_s, _) in zip(tracked, track, strict=True)]
    result = {}
    for number in {int(one) for poses in tracked if poses.ids is not None for one in poses.ids if one > 0}:
        # A frame without the person leaves a gap, across which nothing is measured.
        joints = np.full((len(smoothed), 17, 2), np.nan)
        sizes = []
        for frame, poses in enumerate(smoothed):
            for row in np.flatnonzero(poses.ids == number):
                sizes.append(float(np.sqrt(np.prod(tracked[frame].boxes[row, 2:] - tracked[frame].boxes[row, :2]))))
                certain = poses.keypoints[row, :, 2] >= 0.05
                joints[frame, certain] = poses.keypoints[row, certain, :2]
        if len(sizes) >= 0.6 * len(smoothed):
            moved = jitter(joints)
            result[str(number)] = {"px": round(moved, 3), "sizes": round(moved / float(np.median(sizes)), 5)}
    return result


def speed() -> dict[str, Any]:
    """Return CPU milliseconds of this thread a frame of tracker and smoother, for five people and for twenty."""
    result: dict[str, Any] = {}
    for people in (5, 20):
        frames = list(scene(people, 30, 20, 7))
        tracker, smoother, times = Tracker(), Smoother(0.5), []
        for time_s, poses, _ in frames:
            clock = [time.thread_time()]
            tracked = tracker.update(poses, time_s)
            clock.append(time.thread_time())
            smoother.update(tracked, time_s)
            clock.append(time.thread_time())
            times.append(1e3 * np.diff(clock))
        columns = np.array(times[30:]).T
        result[str(people)] = {"tracker": statistics(columns[0]), "smoother": statistics(columns[1])}
    return result


def show(document: dict[str, Any]) -> None:
    """Print the record as tables."""
    print("synthetic people: id switches / fragments / ids of ghosts / mean IDF1, at frames a second")
    print(f"{'':20}" + "".join(f"{rate:>24}" for rate in RATES))
    for name, rates in document["synthetic_ids"].items():
        cells = [
            f"{one['switches']:.0f} / {one['fragments']:.0f} / {one['ghost_ids']:.0f} / {one['idf1']:.3f}"
            for one in rates.values()
        ]
        print(f"{name:20}" + "".join(f"{cell:>24}" for cell in cells))
    found = {rate: one["found"] for rate, one in document["synthetic_ids"]["ours"].items()}
    print("people found:", ", ".join(f"{count:.0f} at {rate}" for rate, count in found.items()))
    for title, rows in (("strength", document["smoothing"]), ("constants, strength 0.6", document["constants"])):
        print(f"\n{title}: jitter of the still, lag of walk and of waving arms, error of waving arms; px (sizes)")
        for row in rows:
            names = ("jitter", "walk_lag", "wave_lag", "wave_error")
            what = " ".join(f"{key} {row[key]:g}" for key in row if not key.endswith(("_px", "_sizes")))
            height = f" height {row['height_px']}" if "height_px" in row else ""
            cells = [f"{row[key + '_px']:7.2f} ({row[key + '_sizes']:.4f})" for key in names]
            print(f"{what + height:42}" + "".join(f"{cell:>19}" for cell in cells))
    for name, clip in document.get("clips", {}).items():
        switches = {label: sum(clip[label]["switches"].values()) for label in ("naive", "ours")}
        calm = ", ".join(
            f"{one['px']:.2f} px ({one['sizes']:.4f}) at {strength}"
            for strength, one in clip["jitter"].items()
            if strength != "person"
        )
        print(f"\n{name}: {clip['frames']} frames, {len(MARKS[name])} people marked; switches at marks: {switches}")
        print(f"  ids at marks: {clip['ours']['ids_at_marks']}")
        print(f"  ids given: naive {clip['naive']['ids_given']}, ours {clip['ours']['ids_given']}")
        print(f"  jitter of person {clip['jitter']['person']}: {calm}")
    for people, parts in document["cpu_milliseconds"].items():
        print(f"\n{people} people: " + ", ".join(f"{part} {one['median']:.3f} ms" for part, one in parts.items()))


def clip_results(folder: Path, frames: int, cache: Path | None) -> dict[str, Any]:
    """Return what the clips in a folder give.

    Raises:
        GcposeError: a clip is not there.
    """
    missing = [name for name in MARKS if not (folder / name).is_file()]
    if missing:
        raise GcposeError(f"{folder} has no {missing[0]}; give the folder of clips with --clips")
    with PoseEstimator("mobile", threads=1) as estimator:
        return {name: clip_result(name, *poses_of(folder / name, estimator, frames, cache)) for name in MARKS}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print tables."""
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=4, help="scenes of each kind")
    options.add_argument("--seconds", type=float, default=12, help="length of a scene")
    options.add_argument("--clips", type=Path, help="folder with " + ", ".join(MARKS))
    options.add_argument("--frames", type=int, default=300, help="of each clip, at most")
    options.add_argument("--cache", type=Path, help="folder for the clips' poses; a temporary one if not given")
    args = options.parse_args(argv)
    settings = {"people": PEOPLE, "seeds": args.seeds, "seconds": args.seconds, "joint_noise_sizes": NOISE}
    measured: dict[str, Any] = {
        "settings": {**settings, "tracker": vars(TrackerOptions())},
        "synthetic_ids": synthetic_ids(args.seeds, args.seconds),
        "smoothing": strengths(),
        "constants": constants(),
        "cpu_milliseconds": speed(),
    }
    if args.clips is not None:
        measured["clips"] = clip_results(args.clips, args.frames, args.cache)
    show(measured)
    write(args.json, record(measured))
    return 0


if __name__ == "__main__":
    run(main)
