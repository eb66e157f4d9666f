"""Real builds: TensorRT-RTX on the CPU. What is built here is not run, that takes an RTX GPU.

FP16 is built by tests/cli/test_build_engine.py.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.assets import FOLDER as SHIPPED
from gcpose_trt.engine.builder import build_engine
from gcpose_trt.engine.request import BuildRequest
from gcpose_trt.runtime.engine_record import EngineRecord
from tests.engine.quantized import quantize

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None, reason="TensorRT-RTX (tensorrt-rtx-cu13) is not installed"
)
PARTS = {"backbone", "proposals", "box_head", "detections", "regions", "keypoint_head"}


def build(output: Path, precision: str, **options: Any) -> EngineRecord:
    request = BuildRequest("mobile", output, precision, size=(128, 160), max_people=2, target="tensorrt-rtx")
    events: list[dict[str, Any]] = []
    record = build_engine(BuildRequest(**{**vars(request), **options}), events.append)
    assert any(event["event"] == "phase" for event in events)  # it reports progress
    assert EngineRecord.load(output) == record
    assert set(record.check_files(output)) == PARTS
    return record


@pytest.mark.slow
def test_fp32(tmp_path: Path) -> None:
    record = build(tmp_path / "engine", "fp32")
    assert record.tensorrt.split(".")[0] == "1"
    assert record.gpu is None
    assert record.plugin_library is None
    # Suppression (of proposals, of boxes) and pooling (for boxes; for poses) stay outside; the decode does not.
    assert [text.split(" ")[1] for text in record.outside].count("Nms") == 2
    assert any("MultiLevelRoiAlign" in text for text in record.outside)
    assert not any("OksDecode" in text for text in record.outside)
    assert set(record.inspection["backbone"]["by_precision"]) <= {"FP32", "other"}
    assert record.inspection["keypoint_head"]["layers"] > 20
    assert {"8.0", "8.9", "12.0"} <= set(record.options["graphs"]["backbone"]["compute_capabilities"])


@pytest.mark.slow
def test_quantized(tmp_path: Path) -> None:
    model = quantize(SHIPPED / "mobile", tmp_path / "int8")
    record = build(tmp_path / "engine", "int8", model=str(model))
    assert record.inspection["backbone"]["by_precision"]["INT8"] > 50
    # Weights belong to the part whose convolutions read them, not to the part before.
    assert record.inspection["keypoint_head"]["by_precision"]["INT8"] > 10
    assert record.inspection["backbone"]["weight_bytes_by_precision"]["INT8"] > 1e6


@pytest.mark.slow
def test_calibrated(tmp_path: Path) -> None:
    record = build(tmp_path / "engine", "int8")
    counts = record.inspection["backbone"]["by_precision"]
    # Q/DQ pairs reached the builder: convolutions are INT8, nothing of weight is FP32, and what is between is FP16.
    assert counts["INT8"] > 100
    assert counts["FP16"] > counts["FP32"]
    weights = record.inspection["backbone"]["weight_bytes_by_precision"]
    assert weights["INT8"] > 20 * (weights["FP16"] + weights.get("FP32", 0))
    assert record.inspection["keypoint_head"]["by_precision"]["INT8"] >= 10
    assert record.options["int8"]["layers"]["pose"] >= 5
