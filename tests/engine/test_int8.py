"""INT8 engines: by a calibration, on STAND-INS of TensorRT, and the accuracy gate, which ONNX Runtime decides here."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pycocotools", reason="pycocotools is not installed; pip install 'gcpose-trt[eval]'")
from gcpose_trt.engine import layers_file
from gcpose_trt.engine.builder import build_engine
from gcpose_trt.engine.calibration import find_calibration
from gcpose_trt.engine.report import describe_record
from gcpose_trt.engine.request import BuildRequest
from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.prepare import prepare_bundle
from gcpose_trt.quantization.record import CalibrationRecord
from gcpose_trt.runtime.engine_record import EngineRecord, file_sha256
from tests.support.annotated import annotate
from tests.support.calibrations import scaled
from tests.support.tensorrt_standin import GENERATIONS

Install = Callable[[str], Path]
SIZE = (160, 256)


@pytest.fixture(scope="module")
def calibration() -> Path:
    """The one that comes with the shipped model."""
    return find_calibration(None, prepare_bundle("mobile").info)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Options of a gate: images and annotations that the float model meets exactly."""
    images, annotations = annotate(tmp_path_factory.mktemp("truth"), SIZE)
    return {"images": images, "annotations": annotations}


def request_of(output: Path, plugins: Path, **options: Any) -> BuildRequest:
    request = BuildRequest("mobile", output, "int8", size=(64, 96), max_people=3, plugins=plugins)
    return replace(request, **options)


def build(request: BuildRequest) -> tuple[EngineRecord, list[str]]:
    stages: list[str] = []
    record = build_engine(request, lambda event: stages.append(event["text"]) if event["event"] == "stage" else None)
    assert EngineRecord.load(request.output) == record
    return record, stages


def refusal(request: BuildRequest, listener: Callable[[dict[str, Any]], None] = lambda event: None) -> str:
    with pytest.raises(GcposeError) as caught:
        build_engine(request, listener)
    message = str(caught.value)
    assert "\n" not in message
    assert not request.output.exists()
    assert not list(request.output.parent.glob(".*"))
    return message


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation(generation: str, install: Install, calibration: Path, tmp_path: Path) -> None:
    record, _ = build(request_of(tmp_path / "engine", install(generation), exclude=("neck.output.*",)))
    int8 = record.options["int8"]
    assert int8["calibration"]["sha256"] == file_sha256(calibration)
    assert (int8["method"], int8["exclude"]) == ("percentile:99.99", ["neck.output.*"])
    assert int8["layers"]["detector"] > 60
    assert int8["layers"]["pose"] >= 5
    assert set(int8["left_in_float"]["detector"]) > {"neck.output.2.0", "box_head.deltas"}
    for option in ("--precision int8", "--exclude 'neck.output.*'"):
        assert option in record.command
    assert any(line.startswith("INT8") and "the rest FP16" in line for line in describe_record(record))

    weak = generation.startswith("8")
    graphs = record.options["graphs"]
    assert graphs["detector"]["typing"] == ("weak" if weak else "strong")
    assert graphs["detector"].get("constraints") == ("PREFER_PRECISION_CONSTRAINTS" if weak else None)
    counts = record.inspection["detector"]["by_precision"]
    assert counts["INT8"] > 100
    assert counts["FP16"] > counts["FP32"] > 50
    layers = {layer.name: layer.precision for layer in layers_file.read(tmp_path / "engine")["detector"].layers}
    assert layers["node_softmax"] == "FP32"
    # Between two INT8 engines of TensorRT 8, whose Q/DQ nodes know FP32 only, p2 is FP32.
    io = {item["name"]: item["dtype"] for item in layers_file.read(tmp_path / "engine")["pose"].io}
    assert io["p2"] == ("float32" if weak else "float16")
    assert sorted(path.name for path in (tmp_path / "engine").iterdir()) == [
        *("detector.engine", "engine.json", "layers.json", "pose.engine")
    ]


def test_calibrations_that_do_not_fit(install: Install, calibration: Path, tmp_path: Path) -> None:
    request = request_of(tmp_path / "engine", install("10.3"))
    record = CalibrationRecord.load(calibration)
    other = tmp_path / "other.json"
    replace(record, weights_sha256="f" * 64).save(other)
    message = refusal(replace(request, calibration=other))
    assert "f" * 64 in message
    assert record.weights_sha256 in message
    assert "no layer or block of the model is called 'nack.*'" in refusal(replace(request, exclude=("nack.*",)))


def test_the_gate_lets_a_good_calibration_pass(install: Install, truth: dict[str, Any], tmp_path: Path) -> None:
    options = {**truth, "size": SIZE, "max_ap_drop": 60.0, "max_images": 1}
    record, stages = build(request_of(tmp_path / "engine", install("10.3"), **options))
    gate = record.options["gate"]
    assert gate["ap"]["fp32"] > 0.9  # the float model is the truth
    assert gate["ap_drop"] == pytest.approx(100 * (gate["ap"]["fp32"] - gate["ap"]["int8"]), abs=1e-3)
    assert (gate["images"], gate["max_ap_drop"]) == (1, 60.0)
    assert gate["annotations_sha256"] == file_sha256(truth["annotations"])
    # The stand-in engine cannot be run, and the record says so.
    assert gate["measured"] == "graph in ONNX Runtime"
    assert "the engine could not be run here" in gate["why"]
    assert stages[1] == "AP of the FP32 model"
    assert any(line.startswith("AP ") and "of 60 allowed" in line for line in describe_record(record))
    assert f"--max-ap-drop 60.0 --max-images 1 --images {truth['images']}" in record.command.replace("'", "")


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="TensorRT-RTX is not installed")
def test_the_gate_refuses_and_names_the_blocks(calibration: Path, truth: dict[str, Any], tmp_path: Path) -> None:
    absurd = tmp_path / "absurd.json"
    scaled(CalibrationRecord.load(calibration), 0.01, lambda name: name.startswith("pose:")).save(absurd)
    # Few blocks are left in INT8, so that the ranking takes seconds.
    exclude = ("backbone.blocks.*", "prior.*", "neck.*")
    options = {**truth, "size": SIZE, "max_ap_drop": 0.5, "calibration": absurd, "exclude": exclude, "max_images": 1}
    request = replace(request_of(tmp_path / "engine", tmp_path, **options), plugins=None, target="tensorrt-rtx")
    stages: list[str] = []
    message = refusal(request, lambda event: stages.append(event["text"]) if event["event"] == "stage" else None)
    assert not any(text.startswith("building") for text in stages)  # it is judged before
    assert "more than 0.5: no engine was written" in message
    assert "INT8 harms most keypoint_head" in message
    assert "--exclude keypoint_head" in message


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"max_ap_drop": 0.5}, "add --images DIR"),
        ({"max_ap_drop": 0.5, "images": Path()}, "add --annotations JSON"),
        ({"images": Path()}, "are for --max-ap-drop"),
        ({"max_ap_drop": 0.5, "precision": "fp32", "images": Path(), "annotations": Path("x")}, "leave it out"),
        ({"max_ap_drop": -1.0, "images": Path(), "annotations": Path("x")}, "from 0 to 100"),
        ({"precision": "fp16", "calibration": Path("x")}, "--calibration goes with --precision int8"),
        ({"precision": "fp16", "exclude": ("neck.*",)}, "--exclude goes with --precision int8"),
    ],
)
def test_requests_that_make_no_sense(changes: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(GcposeError) as caught:
        request_of(tmp_path / "engine", tmp_path, **changes).check()
    assert text in str(caught.value)


def test_requests_survive_json(tmp_path: Path) -> None:
    options = {"calibration": tmp_path / "a", "exclude": ("x", "y"), "max_ap_drop": 0.5, "images": tmp_path}
    request = request_of(tmp_path / "engine", tmp_path, **options)
    assert BuildRequest.from_dict(request.to_dict()) == request


def test_annotations_without_people(install: Install, truth: dict[str, Any], tmp_path: Path) -> None:
    content = json.loads(truth["annotations"].read_text())
    empty = tmp_path / "nobody.json"
    empty.write_text(json.dumps({**content, "annotations": []}))
    options = {"images": truth["images"], "annotations": empty, "max_ap_drop": 0.5}
    message = refusal(request_of(tmp_path / "engine", install("10.3"), **options))
    assert "has no annotated person" in message
