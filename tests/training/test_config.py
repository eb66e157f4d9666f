"""Recipes: what loads, and what is refused with a line that names the setting."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from gcpose_trt.errors import GcposeError
from gcpose_trt.model import build_model
from gcpose_trt.training.config import TrainConfig
from gcpose_trt.training.config_loading import config_from_dict, load_config, shipped_recipes
from gcpose_trt.training.optim import freeze
from tests.training.synthetic import write_recipe


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_load_and_survive_being_saved(name: str) -> None:
    config = load_config(name)
    assert config_from_dict(dataclasses.asdict(config)) == config


def test_paper_recipe_is_the_papers() -> None:
    config = load_config("r50_3x")
    assert config.schedule.iterations == 270_000
    assert config.schedule.steps == (210_000, 250_000)
    assert config.datasets[0].batch == 16
    assert config.datasets[0].augment.short == (640, 672, 704, 736, 768, 800)
    assert (config.rpn.post_nms, config.box.samples, config.box.positive_fraction) == (1500, 512, 0.25)
    assert (config.optimizer.lr, config.optimizer.momentum, config.optimizer.weight_decay) == (0.02, 0.9, 1e-4)
    assert config.keypoint.sigma == 0 and config.keypoint.roi_jitter == 0
    assert dataclasses.replace(load_config("r101_3x"), model="r50") == config


@pytest.mark.parametrize("name", shipped_recipes())
def test_frozen_parts_exist_in_the_network(name: str) -> None:
    config = load_config(name)
    with torch.device("meta"):
        model = build_model(config.model)
    freeze(model, config.optimizer)
    frozen = {parameter_name for parameter_name, value in model.named_parameters() if not value.requires_grad}
    assert frozen
    assert all(parameter_name.startswith(("backbone.", "prior.")) for parameter_name in frozen)


def test_set_reaches_lists_and_numbers(tmp_path: Path) -> None:
    recipe = str(write_recipe(tmp_path))
    config = load_config(recipe, ["datasets.1.augment.rotation=12", "optimizer.lr=1e-3", "rpn.samples=7"])
    assert config.datasets[1].augment.rotation == 12.0
    assert config.optimizer.lr == 1e-3
    assert config.rpn.samples == 7
    assert isinstance(config, TrainConfig)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.learning_rate=1", "no setting learning_rate"),
        ("optimizer.momentun=1", "did you mean momentum"),
        ("optimizer.lr=0", "optimizer.lr is 0.0; give above 0"),
        ("optimizer.lr=fast", "give a value of type float"),
        ("optimizer.lr=.nan", "optimizer.lr is nan"),
        ("rpn.samples=2.5", "give a value of type int"),
        ("channels_last=1", "give a value of type bool"),
        ("precision=int8", "fp32, bf16 or fp16"),
        ("ema=1.0", "below 1"),
        ("datasets.0.batch=0", "datasets.0.batch is 0"),
        ("datasets.5.batch=1", "no entry of a list of 2"),
        ("datasets.0.augment.rotation=40", "at most 15 where detection is true"),
        ("datasets.0.augment.canvas=[100, 96]", "multiples of 32"),
        ("datasets.0.augment.canvas=[96]", "give a list of 2"),
        ("datasets.0.augment.short=[96]", "either short or canvas"),
        ("datasets.0.augment.scale=[2, 1]", "the smaller first"),
        ("datasets=[]", "has no datasets"),
        ("rpn.negative_iou=0.9", "above rpn.positive_iou"),
        ("validation.every=5", "validation.images"),
        ("keypoint={proposals: false, roi_jitter: 0}", "nothing to train on"),
        ("optimizer.lr", "has no value"),
        ("optimizer.lr.x=1", "is a plain value"),
        ("seed=-1", "seed is -1"),
        ("seed=[1", "not YAML"),
    ],
)
def test_bad_settings_are_named(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(GcposeError, match=message.replace("[", r"\[")) as error:
        load_config(str(write_recipe(tmp_path)), [override])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "- 1", "a: [", "model: 3"])
def test_files_that_are_no_recipe(tmp_path: Path, content: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(content)
    with pytest.raises(GcposeError):
        load_config(str(path))


def test_unknown_recipe_lists_the_shipped_ones() -> None:
    with pytest.raises(GcposeError, match="r50_3x"):
        load_config("r18")
