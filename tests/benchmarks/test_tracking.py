"""The yardsticks of the tracking benchmark, on cases whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import tracking
from benchmarks.clip_tracks import ids_at
from benchmarks.naive_tracker import NaiveTracker
from benchmarks.synthetic_motion import behind, jitter, trial
from benchmarks.synthetic_tracks import Faults, scene, score
from gcpose_trt.pose import PoseFrame
from gcpose_trt.pose.tracking import Tracker


def test_scores_of_known_ids() -> None:
    truth = [np.array([1, 2])] * 4 + [np.array([1, 2, 0])]
    perfect = score(truth, [np.array([7, 9])] * 4 + [np.array([7, 9, -1])])
    assert perfect == {"found": 10, "switches": 0, "fragments": 0, "ghost_ids": 0, "idf1": 1.0}
    swapped = score(truth, [np.array([7, 9])] * 2 + [np.array([9, 7])] * 2 + [np.array([9, 7, 3])])
    assert swapped["switches"] == 2
    assert swapped["ghost_ids"] == 1
    assert swapped["idf1"] == pytest.approx(2 * 6 / (10 + 11))
    broken = score(
        truth, [np.array([7, 9]), np.array([-1, 9]), np.array([7, 9]), np.array([7, 9]), np.array([7, 9, -1])]
    )
    assert (broken["switches"], broken["fragments"]) == (0, 1)


def test_a_scene_without_faults_is_followed_without_a_switch() -> None:
    frames = list(scene(2, 30, 6, 3, Faults(0, 0, 0, 0, 0)))
    tracker = Tracker()
    ids = [tracker.update(poses, time_s).ids for time_s, poses, _ in frames]
    result = score([truth for *_, truth in frames], ids)
    assert result["switches"] == 0
    assert result["idf1"] > 0.98, "all but the first moments of the less certain"


def test_ours_follows_better_than_the_naive() -> None:
    frames = list(scene(5, 10, 12, 50))
    scores = []
    for tracker in (NaiveTracker(), Tracker()):
        ids = [tracker.update(poses, time_s).ids for time_s, poses, _ in frames]
        scores.append(score([truth for *_, truth in frames], ids))
    assert scores[1]["switches"] < scores[0]["switches"]
    assert scores[1]["idf1"] > scores[0]["idf1"]


def test_jitter_and_lag_of_known_motion() -> None:
    times = np.arange(20.0)
    walk = np.stack([3 * times, 0 * times], axis=1)[:, None]
    assert jitter(walk) == 0
    zigzag = walk + np.where(times % 2, 1.0, 0.0)[:, None, None] * [0, 1]
    assert jitter(zigzag) == pytest.approx(2)
    assert behind(walk - [6, 0], walk) == pytest.approx(6)


def test_smoothing_trades_jitter_for_lag() -> None:
    none, some = trial(0, 30, 300), trial(0.6, 30, 300)
    assert some["jitter_px"] < 0.5 * none["jitter_px"]
    assert some["wave_lag_px"] > none["wave_lag_px"]
    near = trial(0.6, 30, 600)
    assert near["jitter_sizes"] == pytest.approx(some["jitter_sizes"], rel=0.05)


def test_ids_at_marks() -> None:
    boxes = [[0, 0, 100, 100], [50, 0, 150, 100]]
    frame = PoseFrame(boxes, [0.9, 0.8], np.zeros((2, 17, 3)), [4, 5])
    assert ids_at({0: (95, 50)}, [frame], 1000) == [5]
    assert ids_at({0: (60, 50)}, [frame], 1000) == [4]
    assert ids_at({0: (900, 50), 7: (1, 1)}, [frame], 1000) == [None]


def test_runs_and_keeps_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracking, "RATES", (10,))
    monkeypatch.setattr(tracking, "PEOPLE", (2,))
    monkeypatch.setattr(tracking, "STRENGTHS", (0.0, 0.5))
    for name in ("CUTOFFS", "RESPONSES", "SPEED_CUTOFFS"):
        monkeypatch.setattr(tracking, name, (1.0,))
    monkeypatch.setattr(tracking, "speed", lambda: {})
    kept = tmp_path / "tracking.json"
    assert tracking.main(["--seeds", "1", "--seconds", "3", "--json", str(kept)]) == 0
    assert "ours" in capsys.readouterr().out
    document = json.loads(kept.read_text())
    assert {"date", "machine", "versions", "synthetic_ids", "smoothing", "constants"} <= set(document)
