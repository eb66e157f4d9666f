from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.prepare import prepare_bundle
from gcpose_trt.quantization.identity import graph_sha256
from gcpose_trt.quantization.record import CalibrationRecord, TensorRange, WeightRange
from tests.quantization.conftest import make_model


def record_of(detector: str = "d" * 64, pose: str = "e" * 64, weights: str = "0" * 64) -> CalibrationRecord:
    percentile = {"99.9": 1.5, "99.99": 2.0, "99.999": 2.5}
    tensors = {
        "a": TensorRange("detector", -1.0, 3.0, percentile, 2.2, 2.4, -1.1, 2.9),
        "pose:a": TensorRange("pose", 0.0, 0.1, {"99.99": 0.05}, 0.06, 0.07, 0.0, 0.08),
        "zero": TensorRange("pose", 0.0, 0.0, {"99.99": 0.0}, 0.0, 0.0, 0.0, 0.0),
    }
    amax = np.array([0.1, 1 / 3, 7.0], np.float32)
    return CalibrationRecord(
        model="mobile",
        weights_sha256=weights,
        graph_sha256={"detector": detector, "pose": pose},
        images={"count": 200},
        input={"size": None, "short": None, "long": 512},
        seed=0,
        tensors=tensors,
        weights={"w": WeightRange(0, amax)},
        tools={"numpy": "2"},
        settings={"bins": 2048},
    )


def test_a_record_survives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    record_of().save(path)
    loaded = CalibrationRecord.load(path)
    assert loaded.to_json() == record_of().to_json() == path.read_text()
    np.testing.assert_array_equal(loaded.weight_amax("w").amax, np.array([0.1, 1 / 3, 7.0], np.float32))
    assert json.loads(path.read_text())["tensors"]["pose:a"]["max"] == 0.1  # the shortest text of the float32


def test_methods_and_graphs() -> None:
    record = record_of()
    assert record.amax("a", "max", "detector") == 3.0
    assert record.amax("a", "percentile:99.99", "pose") == 0.05
    assert record.amax("a", "entropy") == 2.2  # the detector's goes first
    assert record.range("a", "percentile:99.99", "detector") == (-1.0, 2.0)
    assert record.range("a", "mse", "detector") == (-1.1, 2.9)
    assert record.range("a", "max", "pose") == (0.0, 0.1)
    assert record.amax("zero", "mse") == 0
    assert record.has("a", "pose") and not record.has("zero", "detector")
    with pytest.raises(GcposeError, match="choose one of max, percentile"):
        record.amax("a", "percentile:50")
    with pytest.raises(GcposeError, match="no range of the detector graph's tensor zero"):
        record.amax("zero", "max", "detector")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "not complete JSON"),
        (lambda text: "[]", "not a calibration"),
        (lambda text: text.replace('"format":1', '"format":7'), "format 7"),
        (lambda text: text.replace('"weights_sha256"', '"other"'), "incomplete"),
        (lambda text: text.replace('"max":3.0', '"max":NaN'), "not finite"),
        (lambda text: text.replace('"max":3.0', '"max":-5.0'), "wrong way round"),
        (lambda text: text.replace('{"amax":"', '{"amax":"!'), "incomplete"),
        (lambda text: text.replace('"axis":0', '"axis":null'), "incomplete"),
    ],
)
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, damage, message: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(damage(record_of().to_json()))
    with pytest.raises(GcposeError, match=message) as caught:
        CalibrationRecord.load(path)
    assert "\n" not in str(caught.value) and "gcpose-trt calibrate" in str(caught.value)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match=r"no calibration at .* make one with: gcpose-trt calibrate"):
        CalibrationRecord.load(tmp_path / "none.json")


def test_other_weights_and_graphs_are_refused_with_both_digests(tmp_path: Path) -> None:
    graphs = prepare_bundle(make_model(tmp_path / "a"))
    digests = graph_sha256(graphs.detector), graph_sha256(graphs.pose)
    record = record_of(*digests)
    record.check(graphs.detector, graphs.pose)
    other = prepare_bundle(make_model(tmp_path / "b", weight=0.75))
    with pytest.raises(GcposeError, match=f"{digests[0]}.*{graph_sha256(other.detector)}"):
        record.check(other.detector, other.pose)
    with pytest.raises(GcposeError, match=f"{'f' * 64}.*{'0' * 64}"):
        dataclasses.replace(record, weights_sha256="f" * 64).check(graphs.detector, graphs.pose)


def test_the_digest_ignores_size_names_of_files_and_order() -> None:
    dynamic = prepare_bundle("mobile")
    fixed = prepare_bundle("mobile", size=(256, 320), batch=1, max_people=5)
    assert graph_sha256(dynamic.detector) == graph_sha256(fixed.detector)
    assert graph_sha256(dynamic.pose) == graph_sha256(fixed.pose)
    before = graph_sha256(dynamic.pose)
    conv = next(node for node in dynamic.pose.graph.node if node.op_type == "Conv")
    conv.output[0] = "renamed"
    assert graph_sha256(dynamic.pose) != before


def test_the_shipped_calibration_belongs_to_the_shipped_model() -> None:
    path = Path(__file__).resolve().parents[2] / "calibration" / "mobile.json"
    graphs = prepare_bundle("mobile")
    record = CalibrationRecord.load(path)
    record.check(graphs.detector, graphs.pose)
    assert record.images["count"] >= 200
    assert path.read_text() == record.to_json()
