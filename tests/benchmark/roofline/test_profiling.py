"""Node times out of what ONNX Runtime writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gcpose_trt.benchmark.roofline.counting import Value
from gcpose_trt.benchmark.roofline.profiling import read_profile
from gcpose_trt.errors import GcposeError


def node(name: str, ts: int, dur: int, shape: list[int] | None = None) -> dict[str, Any]:
    outputs = [{"float": [1] if shape is None else shape}]
    args = {"op_name": "Add", "output_type_shape": outputs}
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "args": args}


def session(ts: int, dur: int, name: str = "model_run") -> dict[str, Any]:
    return {"cat": "Session", "name": name, "ts": ts, "dur": dur, "args": {}}


def write(folder: Path, events: list[dict[str, Any]]) -> Path:
    path = folder / "profile.json"
    path.write_text(json.dumps(events))
    return path


def test_runs_nodes_and_shapes(tmp_path: Path) -> None:
    events = [
        session(0, 50, "session_initialization"),
        session(100, 40),
        node("a", 101, 10, [2, 3]),
        node("b", 115, 20, []),
        session(200, 60),
        node("a", 201, 30, [2, 3]),
        node("b", 235, 5, []),
        node("b", 245, 7, []),  # a second time in the same run, as in a loop
        {"cat": "Node", "name": "a_fence_before", "ts": 200, "dur": 1000, "args": {}},
    ]
    profile = read_profile(write(tmp_path, events), {"x": Value((1,))})
    assert profile.names == ["a", "b"]
    np.testing.assert_allclose(profile.milliseconds, [[0.010, 0.020], [0.030, 0.012]])
    np.testing.assert_allclose(profile.runs, [0.040, 0.060])
    assert profile.made == {"a": [Value((2, 3))], "b": [Value(())]}


def test_first_runs_do_not_count_but_their_shapes_do(tmp_path: Path) -> None:
    events = [session(100, 40), node("once", 101, 10, [9]), session(200, 60), node("a", 201, 30)]
    profile = read_profile(write(tmp_path, events), {}, skip=1)
    assert profile.milliseconds.shape == (1, 2)
    assert profile.milliseconds[0].tolist() == [0.0, 0.030]
    assert profile.made["once"] == [Value((9,))]


def test_without_a_run_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match=r"; update it"):
        read_profile(write(tmp_path, [session(0, 5, "session_initialization")]), {})
