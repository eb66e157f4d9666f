"""The table and the record of an evaluation."""

from __future__ import annotations

import json

import numpy as np

from gcpose_trt.evaluation import BOX_METRICS, KEYPOINT_METRICS, EvaluationResult
from gcpose_trt.evaluation.report import format_table, record

RESULT = EvaluationResult(
    keypoints={name: 0.1 * number for number, name in enumerate(KEYPOINT_METRICS)},
    boxes=dict.fromkeys(BOX_METRICS),
    images=4,
    people=9,
    found=7,
    milliseconds=np.array([10.0, 20.0, 30.0, 40.0]),
    rank="box",
    results=[],
)


def test_numbers_stand_under_their_names() -> None:
    lines = format_table(RESULT).splitlines()
    header = next(line for line in lines if line.startswith("keypoints"))
    values = lines[lines.index(header) + 1]
    for name, value in RESULT.keypoints.items():
        end = header.index(f" {name} ") + len(name) + 1 if f" {name} " in header else len(header)
        assert values[end - 5 : end] == f"{value:.3f}"


def test_metrics_that_do_not_exist_are_dashes() -> None:
    lines = format_table(RESULT).splitlines()
    boxes = next(number for number, line in enumerate(lines) if line.startswith("boxes"))
    assert lines[boxes + 1].split() == ["-"] * 12


def test_time() -> None:
    assert "milliseconds an image: median 25.0, p90 37.0" in format_table(RESULT)


def test_record_is_json_with_everything_to_repeat_it() -> None:
    document = json.loads(json.dumps(record(RESULT, model={"name": "mobile"}, settings={"size": "640"})))
    assert document["model"] == {"name": "mobile"}
    assert document["settings"] == {"size": "640"}
    assert document["keypoints"]["AP50"] == 0.1
    assert document["boxes"]["AP"] is None
    assert document["milliseconds"] == {"median": 25.0, "p90": 37.0, "mean": 25.0}
    assert {"gcpose-trt", "python", "numpy", "pycocotools"} <= set(document["versions"])
    assert document["date"].endswith("+00:00")
