from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gcpose_trt.graph.prepare import prepare_bundle
from gcpose_trt.quantization.drawing import draw_ranking, format_proposal, format_ranking
from gcpose_trt.quantization.proposal import propose
from gcpose_trt.quantization.record import CalibrationRecord
from gcpose_trt.quantization.sensitivity import BlockError, ErrorMeter, Quantizer, box_errors, rank_blocks
from gcpose_trt.runtime.preprocess import SizeRule
from gcpose_trt.video.sampling import read_frames

SHIPPED = Path(__file__).resolve().parents[2] / "calibration" / "mobile.json"


@pytest.fixture(scope="module")
def quantizer() -> Quantizer:
    return Quantizer(prepare_bundle("mobile"), CalibrationRecord.load(SHIPPED), "cpu", "percentile:99.99")


def test_blocks_are_ranked_by_what_they_do(quantizer: Quantizer) -> None:
    meter = ErrorMeter(quantizer.models, read_frames(None, 1), SizeRule(long=256), threads=1)
    chosen = [("detector", "prior.fuse3"), ("detector", "box_head"), ("pose", "keypoint_head.reduce")]
    quantizer.blocks = {key: quantizer.blocks[key] for key in chosen}
    errors = rank_blocks(quantizer, meter, ap_drop=lambda models: float(len(models)))
    assert [error.harm for error in errors] == sorted((error.harm for error in errors), reverse=True)
    found = {error.block: error for error in errors}
    assert found["prior.fuse3"].p2 > 0 and found["keypoint_head.reduce"].heatmap > 0
    # The box head sees the maps, but the maps do not see it; the pose graph does not move boxes.
    assert found["box_head"].p2 == found["box_head"].heatmap == 0
    assert found["keypoint_head.reduce"].box == 0
    assert all(error.ap_drop == 2 for error in errors)


def test_the_float_graph_has_no_error(quantizer: Quantizer) -> None:
    meter = ErrorMeter(quantizer.models, read_frames(None, 1), SizeRule(long=256), threads=1)
    for graph in ("detector", "pose"):
        error = meter.measure(graph, "none", 0, quantizer.models[graph])
        assert error.harm == pytest.approx(0, abs=1e-4) and error.lost == 0


def test_keeping_every_block_leaves_the_graph_as_it_is(quantizer: Quantizer) -> None:
    models = quantizer.without([block for _, block in quantizer.blocks])
    for model in quantizer.without([])["detector"], quantizer.without([])["pose"]:
        assert any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    assert set(models) == {"detector", "pose"}


def test_box_errors_are_parts_of_the_size_and_lost_people_count_as_one() -> None:
    people = np.array([[0, 0, 10, 10], [50, 50, 70, 70], [100, 0, 120, 40]], np.float32)
    found = np.array([[51, 51, 71, 71], [0, 0, 10, 10]], np.float32)
    np.testing.assert_allclose(box_errors(people, found), [0, 1 / 20, 1])


@pytest.mark.parametrize("needed", [set(), {"a"}, {"b"}, {"a", "c"}, {"e"}, {"a", "b", "c", "d", "e"}])
def test_the_proposal_keeps_what_is_needed_and_nothing_else(needed: set[str]) -> None:
    proposal = propose("abcde", lambda kept: float(len(needed - kept)), 0.5)
    assert set(proposal.keep) == needed and proposal.reached and proposal.ap_drop == 0
    assert len({names for names, _ in proposal.tried}) == len(proposal.tried)


def test_a_loss_that_no_set_reaches_is_said() -> None:
    proposal = propose("abc", lambda kept: 9.0 - len(kept), 0.5)
    assert not proposal.reached and "no set is enough" in format_proposal(proposal)
    assert "everything may be INT8" in format_proposal(propose("abc", lambda kept: -0.1, 0.5))


def test_the_picture_has_a_bar_for_each_error() -> None:
    errors = [
        BlockError("detector", "one", 3, 0.3, 0.1, 0.1, 0.0, 1.25),
        BlockError("pose", "two", 1, 0.1, 0.0, 0.0, 0.0, -0.1),
    ]
    picture = draw_ranking(errors, "title", propose(["one", "two"], lambda kept: float("one" not in kept), 0.5))
    blue = (picture == (230, 160, 40)).all(-1)
    rows = [int(blue[76 + 24 * row + 10].sum()) for row in range(2)]
    assert rows[0] == pytest.approx(3 * rows[1], abs=4) and rows[1] > 50
    assert cv2.imencode(".png", picture)[0]
    lines = format_ranking(errors).splitlines()
    assert "+1.25" in lines[1] and lines[2].startswith("two")
