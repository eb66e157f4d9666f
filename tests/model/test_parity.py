"""R50 against the tensors that the paper authors' implementation made with the same weights, stage by stage.

Detections are near-equal in score by construction, so they are compared as sets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gcpose_trt.model import GCPoseRCNN
from gcpose_trt.model.boxes import box_iou
from gcpose_trt.model.network import Features
from gcpose_trt.model.ops import keypoint_decode, keypoint_decode_exhaustive
from tests.support.once import computed_once

pytestmark = pytest.mark.slow(3)

IMAGES = ("000000000885", "000000001353")
ALL_BUT_BORDERLINE = 0.98  # of the boxes; the others may swap places at the border of NMS


@dataclass
class Run:
    """What the reference has for one image, and what the network makes of it."""

    reference: dict[str, Tensor]
    features: Features
    proposals: Tensor  # (1000, 4)
    proposal_logits: Tensor
    boxes: Tensor  # (100, 4)
    scores: Tensor
    regions: Tensor  # (100, 4) enlarged boxes
    logits: Tensor  # (100, 17, 56, 56)
    logits_of_reference: Tensor  # (4, 17, 56, 56) of the first boxes of the reference


def canvas(image: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return the image in a canvas (1, H, W, 3) whose sides are multiples of 32, and its size (1, 2)."""
    height, width = image.shape[:2]
    out = np.full((1, -(-height // 32) * 32, -(-width // 32) * 32, 3), 200, np.uint8)
    out[0, :height, :width] = image
    return torch.from_numpy(out), torch.tensor([[height, width]])


def run(r50: GCPoseRCNN, path: Path) -> Run:
    """Return what one pass over the image of a reference file makes."""
    with np.load(path) as arrays:
        reference = {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays.files}
    image, size = canvas(reference["resized_bgr"].numpy())
    with torch.inference_mode():
        features = r50.features(r50.normalize(image, size))
        proposals, proposal_logits, count = r50.propose(r50.rpn(features), features, size)
        assert count.tolist() == [1000]
        boxes, scores, found = r50.box_head.detect(features, proposals, count, size)
        assert found.tolist() == [100]
        logits = r50.keypoint_logits(features["pose"], boxes[0], torch.zeros(100, dtype=torch.int64))
        theirs = reference["det_boxes"][:4].float()
        logits_of_reference = r50.keypoint_logits(features["pose"], theirs, torch.zeros(4, dtype=torch.int64))
    regions = r50.enlarge(boxes[0])
    arrays = proposals[0], proposal_logits[0], boxes[0], scores[0], regions, logits, logits_of_reference
    return Run(reference, features, *arrays)


@pytest.fixture(scope="module", params=IMAGES)
def outcome(request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One pass over one image, shared by the tests, in whichever process they run: it takes seconds."""

    def compute() -> Run:
        return run(request.getfixturevalue("r50"), shared / "reference" / f"r50_{request.param}.npz")

    found: Run = computed_once(tmp_path_factory, f"r50_{request.param}", compute)
    return found


def matches(reference: Tensor, ours: Tensor) -> tuple[Tensor, Tensor]:
    """Return which reference boxes (N,) one of ours covers with IoU above 0.99, and which one."""
    overlap, index = box_iou(reference.float(), ours).max(1)
    return overlap > 0.99, index


@pytest.mark.parametrize("level", ["p2", "p3", "p4", "p5", "p6"])
def test_pyramid(outcome: Run, level: str) -> None:
    expected = outcome.reference[f"fpn_{level}"]
    ours = outcome.features[level][0, ::16, ::4, ::4]
    assert ours.shape == expected.shape
    assert (ours - expected).abs().max() < 1e-3 * expected.abs().max()


def test_proposals(outcome: Run) -> None:
    matched, index = matches(outcome.reference["proposals"], outcome.proposals)
    assert matched.float().mean() >= ALL_BUT_BORDERLINE
    backwards, _ = matches(outcome.proposals, outcome.reference["proposals"].float())
    assert backwards.float().mean() >= ALL_BUT_BORDERLINE
    difference = outcome.proposal_logits[index] - outcome.reference["proposal_logits"]
    assert difference[matched].abs().max() < 1e-3


def test_detections(outcome: Run) -> None:
    matched, index = matches(outcome.reference["det_boxes"], outcome.boxes)
    assert matched.float().mean() >= ALL_BUT_BORDERLINE
    backwards, _ = matches(outcome.boxes, outcome.reference["det_boxes"].float())
    assert backwards.float().mean() >= ALL_BUT_BORDERLINE
    difference = outcome.scores[index] - outcome.reference["det_scores"]
    assert difference[matched].abs().max() < 1e-3


def test_heatmap_logits(outcome: Run) -> None:
    assert (outcome.logits_of_reference - outcome.reference["heatmap_logits"]).abs().max() < 1e-2


def distance(outcome: Run, keypoints: Tensor) -> Tensor:
    """Return how far (N, 17) joints of matched people are from the reference, in pixels of the original image."""
    matched, index = matches(outcome.reference["det_boxes"], outcome.boxes)
    scale = outcome.reference["orig_hw"].flip(0) / outcome.reference["input_hw"].flip(0)
    ours = keypoints[index][matched][..., :2] * scale
    expected = outcome.reference["final_keypoints"][matched][..., :2]
    return (ours - expected).abs().amax(-1)


@pytest.mark.parametrize("decode", [keypoint_decode_exhaustive, keypoint_decode])
def test_keypoints(outcome: Run, decode: Callable[[Tensor, Tensor], Tensor]) -> None:
    keypoints = decode(outcome.logits, outcome.regions)
    assert (distance(outcome, keypoints) < 0.5).float().mean() >= 0.99
    matched, index = matches(outcome.reference["det_boxes"], outcome.boxes)
    expected = outcome.reference["final_keypoints"][..., 2]
    assert (keypoints[index][..., 2] - expected)[matched].abs().max() < 1e-2
