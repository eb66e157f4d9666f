"""The losses of a batch: which parts of the network they reach, and how masks and weights act."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gcpose_trt.model import GCPoseRCNN, build_model
from gcpose_trt.training.config import TrainConfig
from gcpose_trt.training.config_loading import load_config
from gcpose_trt.training.loading import Batch, BatchPlan
from gcpose_trt.training.objective import PoseObjective
from tests.training.synthetic import write_recipe

TERMS = {"rpn_class", "rpn_box", "box_class", "box_regression", "keypoint"}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    return load_config(str(write_recipe(tmp_path_factory.mktemp("recipe"))))


@pytest.fixture(scope="module")
def batches(figures: Path, config: TrainConfig) -> list[Batch]:
    return BatchPlan(config, [figures]).batches(0)


@pytest.fixture
def model() -> GCPoseRCNN:
    torch.manual_seed(0)
    return build_model("mobile").train()


def terms(model: GCPoseRCNN, config: TrainConfig, batches: list[Batch]) -> dict[str, torch.Tensor]:
    return PoseObjective(model, config)(batches, torch.Generator().manual_seed(0))


def reached(model: GCPoseRCNN, loss: torch.Tensor) -> set[str]:
    """Return the parts of the network that `loss` has a gradient for."""
    model.zero_grad()
    loss.backward()
    return {
        name.split(".")[0]
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and bool((parameter.grad != 0).any())
    }


def test_each_term_trains_its_branch(model: GCPoseRCNN, config: TrainConfig, batches: list[Batch]) -> None:
    found = terms(model, config, batches)
    assert set(found) == TERMS
    assert all(bool(torch.isfinite(value)) and float(value.detach()) >= 0 for value in found.values())
    for name, part in (("rpn_class", "rpn"), ("box_class", "box_head"), ("keypoint", "keypoint_head")):
        heads = reached(model, terms(model, config, batches)[name]) & {"rpn", "box_head", "keypoint_head"}
        assert heads == {part}


def test_sets_without_detection_labels_train_the_keypoint_branch_only(
    model: GCPoseRCNN, config: TrainConfig, batches: list[Batch]
) -> None:
    assert set(terms(model, config, batches[1:])) == {"keypoint"}


def test_same_generator_same_losses(model: GCPoseRCNN, config: TrainConfig, batches: list[Batch]) -> None:
    model.eval()
    first, again = (terms(model, config, batches) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in TERMS)


def test_factors_scale_their_terms(model: GCPoseRCNN, config: TrainConfig, batches: list[Batch]) -> None:
    model.eval()
    plain = terms(model, config, batches)
    scaled = terms(model, replace(config, loss=replace(config.loss, rpn_box=3.0, keypoint=0.5)), batches)
    torch.testing.assert_close(scaled["rpn_box"], 3 * plain["rpn_box"])
    torch.testing.assert_close(scaled["keypoint"], 0.5 * plain["keypoint"])
    torch.testing.assert_close(scaled["box_class"], plain["box_class"])


def test_keypoint_loss_can_be_switched_off(model: GCPoseRCNN, config: TrainConfig, batches: list[Batch]) -> None:
    off = replace(config, loss=replace(config.loss, keypoint=0.0))
    found = terms(model, off, batches)
    assert float(found.get("keypoint", torch.zeros(()))) == 0


def test_images_without_people(model: GCPoseRCNN, config: TrainConfig, batches: list[Batch]) -> None:
    def emptied(batch: Batch) -> Batch:
        none = [np.zeros((0, 4), np.float32)] * len(batch.images)
        points = [np.zeros((0, 17, 3), np.float32)] * len(batch.images)
        return replace(batch, boxes=none, keypoints=points, ignore=none)

    found = terms(model, config, [emptied(batch) for batch in batches])
    assert found["keypoint"].item() == found["rpn_box"].item() == found["box_regression"].item() == 0
    assert found["rpn_class"].item() > 0
    torch.stack(list(found.values())).sum().backward()


def test_unlabelled_people_are_found_but_not_posed(
    model: GCPoseRCNN, config: TrainConfig, batches: list[Batch]
) -> None:
    blind = [array * np.array([1, 1, 0], np.float32) for array in batches[0].keypoints]
    found = terms(model, config, [replace(batches[0], keypoints=blind)])
    assert found["keypoint"].item() == 0
    assert found["rpn_box"].item() > 0


@pytest.mark.parametrize("change", [{"max_rois": 1}, {"normalise": "fixed"}, {"sigma": 0.0}, {"proposals": False}])
def test_options_of_the_keypoint_loss(
    model: GCPoseRCNN, config: TrainConfig, batches: list[Batch], change: dict[str, object]
) -> None:
    changed = replace(config, keypoint=replace(config.keypoint, **change))  # type: ignore[arg-type]
    value = float(terms(model, changed, batches)["keypoint"])
    assert np.isfinite(value) and value > 0


@pytest.mark.slow
def test_the_papers_network_has_the_same_losses(figures: Path, config: TrainConfig, batches: list[Batch]) -> None:
    torch.manual_seed(0)
    found = terms(build_model("r50").train(), config, batches[:1])
    assert set(found) == TERMS
    assert all(bool(torch.isfinite(value)) for value in found.values())
