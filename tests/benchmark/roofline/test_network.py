"""The shipped model, counted, staged and measured: sums, not speeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from gcpose_trt.assets import FOLDER
from gcpose_trt.benchmark.roofline import stages
from gcpose_trt.benchmark.roofline.counting import Value
from gcpose_trt.benchmark.roofline.graphs import find_files, optimise
from gcpose_trt.benchmark.roofline.origin import Origin

HEIGHT, WIDTH = 96, 128
COUNTED = ("nodes", "operations", "integer_operations", "bytes", "floor_ms", "operations_ms", "bytes_ms", "calls_ms")


def stage(record: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [line for line in record["stages"] if line["name"] == name]
    return found


@pytest.mark.slow  # torch alone takes seconds to import
def test_the_backbone_has_the_operations_that_torch_counts(record: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from gcpose_trt.model import build_model
    from gcpose_trt.model.pose_prior import halve

    image, backbone = torch.zeros(1, 3, HEIGHT, WIDTH), build_model("mobile").backbone
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        backbone(image)
        backbone(halve(image))
    assert stage(record, stages.BACKBONE)["operations"] == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_the_keypoint_head_has_the_operations_of_its_weights(record: dict[str, Any]) -> None:
    origin = Origin(onnx.load(str(FOLDER / "mobile/pose.onnx")))
    cells = {"reduce": 14 * 14, "deconv": 14 * 14}
    expected = 0
    for name, shape in origin.weights.items():
        if len(shape) == 4:
            part = name.split(".")[2]
            expected += 2 * 2 * cells.get(part, 14 * 14) * shape[0] * shape[1] * shape[2] * shape[3]
    weighted = [
        line["operations"]
        for line in record["layers"]
        if line["graph"] == "pose" and (line["module"] or "").startswith("keypoint_head.") and line["op"] != "Split"
    ]
    assert sum(weighted) == pytest.approx(expected, rel=0.01)


def test_stages_add_up_to_the_network(record: dict[str, Any]) -> None:
    for key in COUNTED:
        for lines in (record["stages"], record["layers"]):
            assert sum(line[key] for line in lines) == pytest.approx(record["total"][key], rel=1e-4), key


def test_no_node_is_lost_and_none_is_left_over(record: dict[str, Any]) -> None:
    names = [line["name"] for line in record["stages"]]
    assert stages.OTHER not in names
    assert names == [name for graph in stages.STAGES.values() for name in graph if name in names]
    assert len(names) == len([name for graph in stages.STAGES.values() for name in graph]) - 2  # all but two others
    assert all(line["milliseconds"] is not None for line in record["layers"])


def test_a_floor_is_the_longer_of_both_times(record: dict[str, Any]) -> None:
    for line in record["layers"]:
        assert line["floor_ms"] == pytest.approx(max(line["operations_ms"], line["bytes_ms"]), rel=1e-5)
    for line in [*record["stages"], record["total"]]:
        least = max(line["operations_ms"], line["bytes_ms"])
        assert least * 0.999 <= line["floor_ms"] <= (line["operations_ms"] + line["bytes_ms"]) * 1.001
        assert line["fastest"] <= line["milliseconds"]


def test_layers_come_longest_first_under_the_names_of_their_modules(record: dict[str, Any]) -> None:
    times = [line["milliseconds"] for line in record["layers"]]
    assert times == sorted(times, reverse=True)
    stem = [line for line in record["layers"] if line["module"] == "backbone.stem"]
    # It runs on the image and on its half.
    assert [(line["stage"], line["op"]) for line in stem] == [(stages.BACKBONE, "Conv")] * 2
    assert max(line["operations"] for line in stem) == 2 * (HEIGHT // 2) * (WIDTH // 2) * 48 * 3 * 9


@pytest.mark.parametrize("graph", ["detector", "pose"])
def test_int8_nodes_belong_to_the_same_stages(graph: str, tmp_path: Path) -> None:
    found = optimise(graph, FOLDER / f"mobile-int8/{graph}.onnx", tmp_path, 1)
    assert set(found.stages) == set(stages.STAGES[graph]) - {stages.OTHER}
    for node, name in zip(found.model.graph.node, found.stages, strict=True):
        module = found.origin.module(node)
        if module:
            part = module.split(".")[0]
            parts = {"backbone": stages.BACKBONE, "neck": stages.PYRAMID, "prior": stages.PRIOR, "rpn": stages.RPN}
            assert name == parts.get(part, name), node.name
        if node.op_type == "RoiAlign":
            assert name in (stages.POOLED_BOXES, stages.POOLED_PEOPLE)
        if node.op_type == "NonMaxSuppression":
            assert name in (stages.PROPOSALS, stages.DETECTIONS)
    names = [node.name for node in found.model.graph.node]
    assert len(set(names)) == len(names)


def test_int8_files_are_found_beside_the_float_ones() -> None:
    assert find_files("mobile", "int8").detector == FOLDER / "mobile-int8/detector.onnx"
    assert find_files("mobile-int8", "int8").detector == FOLDER / "mobile-int8/detector.onnx"
    assert find_files("mobile", "fp32").detector == FOLDER / "mobile/detector.onnx"


def test_a_graph_that_is_not_ours_is_shown_as_other(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in "xy"]
    body = helper.make_graph([helper.make_node("Exp", ["x"], ["y"])], "strange", value[:1], value[1:])
    path = tmp_path / "strange.onnx"
    onnx.save(helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    target = tmp_path / "optimised"
    target.mkdir()
    assert optimise("pose", path, target, 1).stages == [stages.OTHER]
    assert Value((3,)).bytes == 12
