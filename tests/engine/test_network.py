"""Parsing, settings, profiles, types: each TensorRT generation's branch on STAND-INS, and the errors of all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from gcpose_trt.engine import network, weak_typing
from gcpose_trt.engine.config import Settings, make_config
from gcpose_trt.engine.inspection import by_precision
from gcpose_trt.errors import GcposeError
from tests.engine.standins import stand_in
from tests.support.tensorrt_standin import GENERATIONS

SETTINGS = Settings("fp16", None, False, False, None)


def ignore(event: str, **values: Any) -> None:
    """Take no notice of progress."""


def mixed_graph(path: Path, people: str | int = "people", extra: tuple[onnx.NodeProto, ...] = ()) -> Path:
    """Write a convolution in FP16 whose output an FP32 softmax reads."""
    weights = np.ones((4, 3, 3, 3), np.float16)
    nodes = [
        helper.make_node("Cast", ["x"], ["half"], "to_half", to=TensorProto.FLOAT16),
        helper.make_node("Conv", ["half", "w"], ["a"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Cast", ["a"], ["full"], "to_full", to=TensorProto.FLOAT),
        helper.make_node("Softmax", ["full"], ["y"], "island", axis=1),
        *extra,
    ]
    graph = helper.make_graph(
        nodes,
        "mixed",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [people, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [people, 4, 8, 8])],
        [numpy_helper.from_array(weights, "w")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("gcpose", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.mark.parametrize("generation", GENERATIONS)
def test_settings_of_each_generation(generation: str) -> None:
    trt = stand_in(generation)
    builder = trt.module.Builder(trt.logger)
    settings = Settings("fp16", None, True, True, None)
    config, done = make_config(trt, builder, settings, half=True)
    flags = trt.module.BuilderFlag
    assert not config.get_flag(flags.TF32)
    assert done["workspace_mib"] == 256
    assert config.get_memory_pool_limit(trt.module.MemoryPoolType.WORKSPACE) == 256 << 20
    if generation.startswith("8"):
        assert (done["typing"], done["constraints"]) == ("weak", "PREFER_PRECISION_CONSTRAINTS")
        assert config.get_flag(flags.FP16)
    else:
        assert done["typing"] == "strong"
        assert not hasattr(flags, "FP16") or not config.get_flag(flags.FP16)
    assert ("without_tactic_sources" in done) == (generation != "11.4")
    assert ("no auxiliary streams" in done["reproducible"]) == (generation != "8.5")
    assert ("editable timing cache" in done["reproducible"]) == (generation in ("10.16", "11.4"))
    assert str(config.profiling_verbosity) == "ProfilingVerbosity.DETAILED"


@pytest.mark.parametrize("half", [False, True])
def test_int8_on_8_allows_half_only_where_the_graph_has_it(half: bool) -> None:
    trt = stand_in("8.6")
    config, _ = make_config(trt, trt.module.Builder(trt.logger), replace(SETTINGS, precision="int8"), half)
    assert config.get_flag(trt.module.BuilderFlag.INT8)
    assert config.get_flag(trt.module.BuilderFlag.FP16) == half


def test_quantized_layers_are_left_to_int8_kernels(tmp_path: Path) -> None:
    scale, zero = numpy_helper.from_array(np.float16(0.1), "scale"), numpy_helper.from_array(np.int8(0), "zero")
    arguments = ["scale", "zero"]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", *arguments], ["q"], "quantize"),
        helper.make_node("DequantizeLinear", ["q", *arguments], ["d"], "dequantize"),
        helper.make_node("Relu", ["d"], ["a"], "between"),
        helper.make_node("QuantizeLinear", ["a", *arguments], ["q2"], "quantize_again"),
        helper.make_node("DequantizeLinear", ["q2", *arguments], ["d2"], "dequantize_again"),
        helper.make_node("Relu", ["x"], ["y"], "apart"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT16, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "quantized", ends[:1], ends[1:], [scale, zero])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.save(model, tmp_path / "quantized.onnx")
    trt = stand_in("8.6")
    built = network.build(trt, tmp_path / "quantized.onnx", (1,), replace(SETTINGS, precision="int8"), ignore)
    assert built.options["pinned_layers"] == 1


@pytest.mark.parametrize("generation", GENERATIONS)
def test_types_of_the_graph_are_kept(generation: str, tmp_path: Path) -> None:
    path = mixed_graph(tmp_path / "mixed.onnx")
    built = network.build(stand_in(generation), path, (1, 2, 5), SETTINGS, ignore)
    precisions = {layer.name.split(" ")[0]: layer.precision for layer in built.layers}
    assert precisions["conv"] == "FP16"
    assert precisions["island"] == "FP32"
    assert all(layer.shape[0] == 5 for layer in built.layers)  # of the last profile


def test_without_pins_an_8_runs_the_islands_in_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pins are there for: shows that the test above would notice their absence."""
    monkeypatch.setattr(weak_typing, "pin", lambda *_: 0)
    built = network.build(stand_in("8.6"), mixed_graph(tmp_path / "mixed.onnx"), (1,), SETTINGS, ignore)
    assert by_precision(built.layers) == {"FP16": 4}


def test_progress_comes_from_the_monitor(tmp_path: Path) -> None:
    events: list[str] = []
    path = mixed_graph(tmp_path / "mixed.onnx", people=2)
    network.build(stand_in("10.3"), path, (2,), SETTINGS, lambda event, **values: events.append(event))
    assert events.count("phase") == events.count("finish") == 2
    assert events.count("step") > 2


def test_unknown_plugin_is_named(tmp_path: Path) -> None:
    node = helper.make_node("Nms", ["y"], ["z"], "suppress", domain="gcpose")
    path = mixed_graph(tmp_path / "mixed.onnx", extra=(node,))
    with pytest.raises(GcposeError, match=r"cannot take node 4 of mixed\.onnx \(Plugin not found.*Nms") as caught:
        network.build(stand_in("10.3"), path, (1,), SETTINGS, ignore)
    assert "\n" not in str(caught.value)


def test_a_body_must_not_take_the_plugins_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = mixed_graph(tmp_path / "mixed.onnx")
    model = onnx.load(path)
    model.graph.node.append(helper.make_node("Nms", ["y"], ["z"], "suppress", domain="gcpose"))
    trt = stand_in("10.3")
    parsed = trt.module.Builder(trt.logger).create_network(0)
    with pytest.raises(GcposeError, match="0 plugin layers of 1 nodes"):
        network._check_plugins(trt, parsed, model)


def test_not_an_onnx_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"nonsense")
    with pytest.raises(GcposeError, match=r"cannot take node -1 of broken\.onnx"):
        network.build(stand_in("11.4"), path, (1,), SETTINGS, ignore)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("Error Code 2: OutOfMemory (Requested size was 8 bytes.)", "ran out of GPU memory"),
        ("Could not find any implementation for node conv", "cannot build the engine (Could not find"),
    ],
)
def test_failed_builds(said: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trt = stand_in("10.3")

    def fail(*_: Any) -> None:
        trt.logger.log(trt.module.ILogger.Severity.ERROR, said)

    monkeypatch.setattr(trt.module.Builder, "build_serialized_network", fail)
    with pytest.raises(GcposeError) as caught:
        network.build(trt, mixed_graph(tmp_path / "mixed.onnx"), (1,), SETTINGS, ignore)
    assert text in str(caught.value)


def test_builder_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trt = stand_in("10.3")

    def fail(logger: Any) -> None:
        logger.log(trt.module.ILogger.Severity.ERROR, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setattr(trt.module, "Builder", fail)
    with pytest.raises(GcposeError, match=r"cannot start .*error: 35.*gcpose-trt doctor"):
        network.build(trt, mixed_graph(tmp_path / "mixed.onnx"), (1,), SETTINGS, ignore)


def test_timing_cache_is_kept_and_read_again(tmp_path: Path) -> None:
    cache = tmp_path / "folder" / "t.cache"
    path = mixed_graph(tmp_path / "mixed.onnx")
    settings = replace(SETTINGS, timing_cache=str(cache))
    assert network.build(stand_in("10.3"), path, (1,), settings, ignore).notes == []
    first = cache.read_bytes()
    assert network.build(stand_in("10.3"), path, (1,), settings, ignore).notes == []
    assert cache.read_bytes() == first
    (note,) = network.build(stand_in("10.16"), path, (1,), settings, ignore).notes
    assert "started afresh" in note
    cache.write_bytes(b"damaged")
    (note,) = network.build(stand_in("10.16"), path, (1,), settings, ignore).notes
    assert "started afresh" in note
    assert cache.read_bytes() != b"damaged"


def test_timings_of_a_build_meanwhile_are_kept(tmp_path: Path) -> None:
    trt = stand_in("10.3")
    from gcpose_trt.engine import timing_cache

    cache = tmp_path / "t.cache"
    config = trt.module.Builder(trt.logger).create_builder_config()
    assert timing_cache.attach(trt, config, cache) is None
    cache.write_text('{"version": "10.3.0", "entries": ["of another build"]}')
    assert timing_cache.save(trt, config, cache) is None
    assert "of another build" in cache.read_text()


def test_timing_cache_that_cannot_be_written_costs_no_engine(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = replace(SETTINGS, timing_cache=str(tmp_path / "file" / "t.cache"))
    built = network.build(stand_in("10.3"), mixed_graph(tmp_path / "mixed.onnx"), (1,), settings, ignore)
    assert "timing cache was not kept" in built.notes[0]
