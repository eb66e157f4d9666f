"""What the INT8 measurement makes of a profile."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.int8_cpu import profile, summarise
from gcpose_trt.errors import GcposeError
from gcpose_trt.video.sampling import read_frames
from tests.support.bundles import make_bundle


def event(name: str, op_type: str, duration: int) -> dict[str, Any]:
    return {"cat": "Node", "name": f"{name}_kernel_time", "args": {"op_name": op_type}, "dur": duration}


def test_summary() -> None:
    events = [
        {"cat": "Session", "name": "model_run", "dur": 1000},
        event("a", "QLinearConv", 30),
        event("a", "QLinearConv", 30),
        event("b", "QGemm", 10),
        event("c", "Conv", 20),
        event("d", "QuantizeLinear", 5),
        event("e", "Softmax", 5),
    ]
    found = summarise(events)
    assert found["integer"] == {"QLinearConv": 1, "QGemm": 1}
    assert found["integer_nodes"] == ["a", "b"]
    assert found["float_weighted"] == ["c"]
    assert found["borders"] == {"QuantizeLinear": 1}
    assert found["share"] == {"border": 0.05, "float_weighted": 0.2, "integer": 0.7, "other": 0.05}


def test_profile_of_the_shipped_model() -> None:
    found = profile("mobile", read_frames(None)[-1:], 1)
    assert found["detector"]["integer"]["QLinearConv"] == 71
    assert found["pose"]["integer"]["QLinearConv"] == 7
    assert all(0 < part < 1 for graph in found.values() for part in graph["share"].values())


def test_without_an_int8_form(tmp_path: Any) -> None:
    with pytest.raises(GcposeError, match="has no INT8 form"):
        profile(str(make_bundle(tmp_path / "net")), read_frames(None)[:1], 1)
