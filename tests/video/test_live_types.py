"""Settings that threads share."""

from __future__ import annotations

import json

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.live_types import Controls, Settings, Snapshot


def test_changes_are_seen_and_returned() -> None:
    controls = Controls(Settings(min_score=0.4))
    assert controls.update(smooth=0.5, paused=True) == Settings(0.4, 0.5, True, False)
    assert controls.settings == Settings(0.4, 0.5, True, False)
    assert controls.update(min_score=1).min_score == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_score": 1.5}, "0 to 1"),
        ({"min_score": -0.1}, "0 to 1"),
        ({"smooth": float("nan")}, "0 to 1"),
        ({"smooth": "0.5"}, "0 to 1"),
        ({"min_score": True}, "0 to 1"),
        ({"paused": 1}, "true or false"),
        ({"blur_heads": "yes"}, "true or false"),
        ({"speed": 3}, "no setting is called 'speed'"),
    ],
)
def test_a_bad_change_changes_nothing(changes: dict, message: str) -> None:
    controls = Controls(Settings())
    with pytest.raises(GcposeError, match=message):
        controls.update(**{"paused": True, **changes})
    assert controls.settings == Settings()


def test_a_bad_start_is_refused() -> None:
    with pytest.raises(GcposeError, match="min_score"):
        Controls(Settings(min_score=2))


def test_a_snapshot_is_json() -> None:
    snapshot = Snapshot(1.5, "mobile", "onnxruntime", "fp32", "cpu", Settings(), 0, {"detector": 30.0}, (), ())
    record = json.loads(json.dumps(snapshot.to_dict()))
    assert record["settings"] == {"min_score": 0.3, "smooth": 0.0, "paused": False, "blur_heads": False}
    assert record["stages_ms"] == {"detector": 30.0}
