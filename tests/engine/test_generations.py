"""The builder's branch of each TensorRT generation, from end to end, on STAND-INS of them: nothing here is TensorRT."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.engine import layers_file
from gcpose_trt.engine.builder import build_engine
from gcpose_trt.engine.request import BuildRequest
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.engine_record import EngineRecord, Gpu
from tests.support.tensorrt_standin import GENERATIONS

Install = Callable[[str], Path]


def build(output: Path, plugins: Path, **options: Any) -> tuple[EngineRecord, list[dict[str, Any]]]:
    """Build and return the record and the events of the build."""
    events: list[dict[str, Any]] = []
    request = BuildRequest(**{"model": "mobile", "size": (64, 96), "max_people": 3, **options}, output=output)
    record = build_engine(BuildRequest(**{**vars(request), "plugins": plugins}), events.append)
    return record, events


@pytest.mark.parametrize("generation", GENERATIONS)
def test_fp16_of_mobile(generation: str, install: Install, cache_folder: Path, tmp_path: Path) -> None:
    plugins = install(generation)
    record, events = build(tmp_path / "engine", plugins)
    loaded = EngineRecord.load(tmp_path / "engine")
    assert loaded == record
    assert set(loaded.check_files(tmp_path / "engine")) == {"detector", "pose"}
    assert loaded.tensorrt.startswith(generation)
    loaded.check_runtime(loaded.tensorrt, Gpu("Stand-in GPU", "8.7"), plugins)
    assert (loaded.size, loaded.max_people, loaded.buckets) == ((64, 96), 3, (1, 2, 3))
    assert loaded.source["pose"].endswith("mobile/pose.onnx")
    loaded.check_source()
    graphs = loaded.options["graphs"]
    weak = generation.startswith("8")
    assert graphs["detector"]["typing"] == ("weak" if weak else "strong")
    assert graphs["detector"]["plugins"] == 4  # two NMS, two RoIAlign
    assert graphs["pose"]["plugins"] == 5  # two RoIAlign, two attentions, the decode
    # The islands stay in FP32, also where the builder needs to be told; heads and backbone are half.
    counts = loaded.inspection["detector"]["by_precision"]
    assert counts["FP16"] > counts["FP32"] > 100
    assert loaded.inspection["detector"]["weight_bytes_by_precision"]["FP16"] > 1e7
    layers = {layer.name: layer.precision for layer in layers_file.read(tmp_path / "engine")["detector"].layers}
    assert layers["node_softmax"] == "FP32"
    # From TensorRT 10 on it reports its progress.
    assert any(event["event"] == "phase" for event in events) == (not weak)
    integers = "int32" if weak else "int64"
    io = layers_file.read(tmp_path / "engine")["detector"].io
    assert [(item["name"], item["dtype"]) for item in io] == [
        ("image", "uint8"),
        ("image_size", integers),
        ("p2", "float16"),
        ("boxes", "float32"),
        ("scores", "float32"),
        ("count", integers),
    ]
    caches = list((cache_folder / "gcpose-trt" / "timing").iterdir())
    assert [path.name for path in caches] == [f"tensorrt-{loaded.tensorrt}-Stand-in-GPU.cache"]


def test_options(install: Install, tiny: Path, tmp_path: Path) -> None:
    record, events = build(
        tmp_path / "engine",
        install("8.6"),
        model=str(tiny),
        precision="fp32",
        low_memory=True,
        reproducible=True,
        workspace=77,
        batch=2,
    )
    assert record.options["graphs"]["pose"]["workspace_mib"] == 77
    assert record.options["timing_cache"] == "timing.cache"
    entries = json.loads((tmp_path / "engine" / "timing.cache").read_text())
    assert entries["version"] == record.tensorrt
    assert record.batch == 2
    assert set(record.inspection["detector"]["by_precision"]) == {"FP32", "other"}
    # Two processes, one after the other.
    assert [event["text"] for event in events if event["event"] == "stage_done"] == ["detector", "pose"]
    for option in ("--low-memory", "--reproducible", "--workspace 77", "--batch 2", "--size 64x96"):
        assert option in record.command


@pytest.mark.parametrize("generation", ["8.6", "10.3"])
def test_library_of_the_other_interface(
    generation: str, install: Install, native: Path, tiny: Path, tmp_path: Path
) -> None:
    right = install(generation)
    wrong = native / ("v3.so" if right.name == "v2.so" else "v2.so")
    with pytest.raises(GcposeError, match="gcpose-trt plugins build"):
        build(tmp_path / "engine", wrong, model=str(tiny), precision="fp32")
    assert not (tmp_path / "engine").exists()


def test_missing_creators_are_named(install: Install, native: Path, tiny: Path, tmp_path: Path) -> None:
    install("10.3")
    with pytest.raises(GcposeError, match="MultiLevelRoiAlign, KeypointDecode") as caught:
        build(tmp_path / "engine", native / "poor.so", model=str(tiny), precision="fp32")
    assert "gcpose-trt plugins build" in str(caught.value)
    assert not (tmp_path / "engine").exists()


def test_build_process_has_no_torch(install: Install, tiny: Path, tmp_path: Path) -> None:
    from gcpose_trt.engine import builder, process

    install("10.3")
    results: list[dict[str, Any]] = []

    def watch(job: dict[str, Any], listener: process.Listener) -> dict[str, Any]:
        results.append(process.run_job(job, listener))
        return results[-1]

    original, builder.run_job = builder.run_job, watch
    try:
        build(tmp_path / "engine", install("10.3"), model=str(tiny), precision="fp32")
    finally:
        builder.run_job = original
    assert [result["torch"] for result in results] == [False, False]


def test_native_graphs_have_no_plugin_of_that_kind(install: Install, tmp_path: Path) -> None:
    record, _ = build(tmp_path / "engine", install("11.4"), gcm="native", roi_align="native", precision="fp32")
    assert record.options["graphs"]["pose"]["plugins"] == 0  # the decode of this model has none
    assert (record.gcm, record.roi_align) == ("native", "native")
    assert "--gcm native --roi-align native" in record.command
