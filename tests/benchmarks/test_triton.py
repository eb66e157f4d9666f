"""The load on a Triton server: its arithmetic, one short run, and the record that is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.common import REPOSITORY
from benchmarks.triton import __main__ as program
from benchmarks.triton.load import Asked, summary
from benchmarks.triton.server import environment
from gcpose_trt.errors import GcposeError


def test_summary_of_known_rounds() -> None:
    rounds = [Asked(2.0, [0.1] * 10, 10), Asked(1.0, [0.1] * 9 + [0.2], 12), Asked(1.0, [0.3] * 4, 4)]
    found = summary(rounds)
    assert (found["requests"], found["people"]) == (24, 26)
    assert found["pictures_a_second_by_round"] == [5.0, 10.0, 4.0]
    assert found["pictures_a_second"] == 5.0
    assert found["milliseconds"] == {"p50": 100.0, "p95": 300.0, "p99": 300.0}


def test_no_server_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCPOSE_TRITON_ENV", str(tmp_path))
    with pytest.raises(GcposeError, match=r"^no Triton server in .*; make test installs it there"):
        environment()


@pytest.mark.slow
def test_a_short_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        environment()
    except GcposeError as error:
        pytest.skip(str(error))
    out = tmp_path / "triton.json"
    options = "--clients 2 --precisions int8 --instances 1 --seconds 0.1 --rounds 1 --pictures 2 --json"
    monkeypatch.setattr(sys, "argv", ["benchmarks/triton/__main__.py", *options.split(), str(out)])
    assert program.main() == 0
    found = json.loads(out.read_text())
    check(found)
    (result,) = found["results"]
    assert [(row["protocol"], row["clients"]) for row in result["server"]] == [("http", 2), ("grpc", 2)]


def test_the_record_that_is_kept() -> None:
    found = json.loads((REPOSITORY / "benchmarks/results/triton.json").read_text())
    check(found)
    asked = {(result["precision"], result["instances"]) for result in found["results"]}
    assert asked == {("fp32", 1), ("fp32", 2), ("int8", 1), ("int8", 2)}


def check(found: dict) -> None:
    """Check that a record says where it was made, and that its figures fit each other."""
    assert found["machine"]["cores"] and found["versions"]["onnxruntime"]
    assert found["versions_in_the_server"]["nvidia-pytriton"] == "0.7.0"
    for result in found["results"]:
        for row in (result["estimator"], *result["server"]):
            assert row["requests"] >= row.get("clients", 1)
            assert row["people"] > 0
            assert min(row["pictures_a_second_by_round"]) <= row["pictures_a_second"]
            assert row["milliseconds"]["p50"] <= row["milliseconds"]["p95"] <= row["milliseconds"]["p99"]
        assert result["detector"]["frames_a_call"] >= 1
