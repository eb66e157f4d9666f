"""The record that a model carries."""

from __future__ import annotations

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.info import ModelInfo
from gcpose_trt.runtime.preprocess import SizeRule
from tests.support.bundles import metadata


def test_fields() -> None:
    info = ModelInfo.from_dict(metadata("pose", size=[384, 640], rank="box*keypoints", later_field=1), "x.onnx")
    assert info.size == (384, 640)
    assert info.rank == "box*keypoints"
    assert info.size_rule.exact == (384, 640)
    free = ModelInfo.from_dict(metadata("pose", resize={"short": 800, "long": 1333}), "x.onnx")
    assert free.size_rule == SizeRule(exact=None, short=800, long=1333)


@pytest.mark.parametrize(
    ("record", "word"),
    [
        (metadata("pose", format=2), "format 2"),
        ({}, "format None"),
        ([], "format"),
        (metadata("pose", size=[384]), "incomplete"),
        (metadata("pose", resize=None), "incomplete"),
        (metadata("pose", min_score="high"), "incomplete"),
        ({key: value for key, value in metadata("pose").items() if key != "divisor"}, "divisor"),
    ],
)
def test_bad_records_are_refused(record: dict, word: str) -> None:
    with pytest.raises(GcposeError, match=word) as caught:
        ModelInfo.from_dict(record, "x.onnx")
    assert str(caught.value).startswith("x.onnx")
