"""Table, record and picture of a comparison."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from gcpose_trt.compare.comparison import compare_sides
from gcpose_trt.compare.drawing import draw_comparison
from gcpose_trt.compare.report import format_comparison, record, verdict
from gcpose_trt.runtime.preprocess import SizeRule
from tests.compare.fakes import BOXES, FRAME, FakeSide


def compared(b: FakeSide) -> Any:
    return compare_sides(FakeSide("left"), b, [FRAME], SizeRule(long=64))


def test_table_names_what_is_beyond() -> None:
    text = format_comparison(compared(FakeSide("right", joint_offset=3.0)))
    beyond = [line for line in text.splitlines() if "BEYOND" in line]
    assert [line[:20].strip() for line in beyond] == ["logits", "keypoints, clear", "keypoints, clear"]
    assert "A: left" in text
    assert "B: right" in text
    assert "beyond the limits: logits (A's inputs), keypoints, clear (A's inputs)" in text
    assert all(len(line) < 120 for line in text.splitlines())


def test_table_of_equal_sides() -> None:
    found = compared(FakeSide())
    assert verdict(found) == "within all limits"
    assert "BEYOND" not in format_comparison(found)
    assert "2 found by both, 0 gained, 0 lost" in format_comparison(found)


def test_table_says_what_is_absent_and_who_is_lost() -> None:
    text = format_comparison(compared(FakeSide(proposals=False, absent={"proposals": "not told"}, boxes=BOXES[:1])))
    assert "proposals           absent: fake: not told" in text
    assert "lost: frame 0, score 0.600" in text


@pytest.mark.parametrize("offset", [0.0, 2.0, float("nan")])
def test_record_is_json(offset: float) -> None:
    content = json.loads(json.dumps(record(compared(FakeSide(p2_offset=offset)), [], {"size": None}), allow_nan=False))
    p2 = next(row for row in content["stages"] if row["name"] == "p2")
    assert p2["largest"] == (None if np.isnan(offset) else offset)
    assert p2["agrees"] is (offset == 0)
    assert ("p2 (end to end)" in content["failures"]) is (offset != 0)
    assert content["people"]["matched"] == 2


def test_picture_shows_both_sides() -> None:
    picture = draw_comparison(compared(FakeSide(joint_offset=4.0)), 0.05)
    assert picture.shape[1:] == (1200, 3)
    assert picture.dtype == np.uint8
    frame = picture[66 : 66 + 1200]
    for colour in ((230, 190, 60), (70, 110, 255)):
        assert (frame == colour).all(-1).sum() > 300, colour
    calm = draw_comparison(compared(FakeSide()), 0.05)
    # The colour of what is beyond its limit is in the bars only where something is.
    over = [(image[66 + 1200 :] == (60, 40, 200)).all(-1).sum() for image in (picture, calm)]
    assert over[0] > 300
    assert over[1] == 0


def test_picture_of_nan() -> None:
    assert draw_comparison(compared(FakeSide(p2_offset=float("nan"))), 0.05).shape[1] == 1200
