"""Every default of a batch resolved, and what makes two batches different."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.assets import FOLDER as SHIPPED
from gcpose_trt.batch import recipe as recipe_module
from gcpose_trt.batch.recipe import differences, from_json, host_rule, keypoint_threshold, make_recipe, to_json
from gcpose_trt.batch.types import Recipe
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.estimator import PoseEstimator
from gcpose_trt.runtime.preprocess import SizeRule
from gcpose_trt.video.sinks import h264
from tests.batch.segment_samples import RECIPE
from tests.support.bundles import make_bundle
from tests.support.engine_folders import from_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engines")
    return from_bundle(folder / "fp16", make_bundle(folder / "onnx", batch=2, size=(64, 96)), precision="fp16")


def test_defaults_are_the_model_s(bundle: Path) -> None:
    recipe = make_recipe(bundle)
    with PoseEstimator(bundle) as estimator:
        expected = (estimator.min_score, estimator.max_people, estimator.precision)
    assert (recipe.min_score, recipe.max_people, recipe.precision) == expected
    assert (recipe.backend, recipe.threads, recipe.batch, recipe.size) == ("onnxruntime", 1, 1, None)
    assert (recipe.segment_s, recipe.segment_images, recipe.track, recipe.annotate) == (30.0, 64, True, False)
    assert recipe.model == str(bundle.absolute())


def test_options_are_kept(bundle: Path) -> None:
    recipe = make_recipe(bundle, "onnxruntime", "fp32", "64", 0.25, 7, 3, 4, 2.5, 10, False, True)
    assert recipe == Recipe(
        str(bundle), recipe.model_hash, "onnxruntime", "fp32", "64", 0.25, 7, 3, 4, 2.5, 10, False, True
    )


@pytest.mark.parametrize(("size", "text"), [(640, "640"), ("640", "640"), ((64, 96), "64x96"), ("64X96", "64x96")])
def test_one_way_to_write_a_size(bundle: Path, size: Any, text: str) -> None:
    recipe = make_recipe(bundle, size=size)
    assert recipe.size == text
    assert recipe == make_recipe(bundle, size=text)


def test_the_shipped_model_in_each_precision() -> None:
    float32, int8, itself = (
        make_recipe(),
        make_recipe(precision="int8"),
        make_recipe("mobile-int8"),
    )
    assert (float32.model, float32.precision) == ("mobile", "fp32")
    assert int8.precision == itself.precision == "int8"
    assert int8.model_hash == itself.model_hash != float32.model_hash, "the files that run"


def test_the_hash_is_of_the_contents(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = make_bundle(tmp_path / "copy")
    first, copied = make_recipe(bundle), make_recipe(elsewhere)
    assert first.model_hash == copied.model_hash
    assert differences(first, copied) == []
    monkeypatch.chdir(tmp_path)
    assert make_recipe("copy/pose.onnx").model_hash == first.model_hash
    assert Path(make_recipe("copy").model) == elsewhere, "workers may have another working folder"
    other = make_recipe(make_bundle(tmp_path / "copy", min_score=0.75))
    assert other.model_hash != first.model_hash
    assert other.min_score == 0.75


def test_engines_are_not_opened(engines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gcpose_trt.runtime.backends.opening.open_backend", pytest.fail)
    recipe = make_recipe(engines)
    assert (recipe.backend, recipe.precision, recipe.size) == ("tensorrt", "fp16", None)
    assert (recipe.threads, recipe.batch, recipe.max_people) == (None, 8, 3)
    assert make_recipe(engines / "detector.engine", precision="fp16", size="64x96") == recipe
    assert keypoint_threshold(recipe.model, recipe.backend) > 0
    assert host_rule(recipe) is None, "frames are resized on the GPU"
    for options, message in (
        ({"precision": "int8"}, "was built in fp16, not int8; "),
        ({"size": 640}, "takes inputs of 64x96 only; leave the size out"),
        ({"threads": 2}, "has no CPU threads to set; leave"),
        ({"min_score": 2.0}, "min_score 2.0 is out of range"),
        ({"max_people": 0}, "max_people 0 is out of range"),
    ):
        with pytest.raises(GcposeError, match=message):
            make_recipe(engines, **options)  # type: ignore[arg-type]
    with pytest.raises(GcposeError, match="holds TensorRT engines, which backend onnxruntime cannot run"):
        monkeypatch.undo()
        make_recipe(engines, "onnxruntime")


def test_damaged_engines(engines: Path) -> None:
    file = engines / "pose.engine"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    try:
        with pytest.raises(GcposeError, match="is cut short"):
            make_recipe(engines)
    finally:
        file.write_bytes(whole)


def test_a_checkpoint(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from gcpose_trt.model import build_model

    torch.manual_seed(0)
    path = tmp_path / "model.pth"
    torch.save({"model": build_model("mobile").state_dict(), "config": "mobile"}, path)
    recipe = make_recipe(path, device="cpu")
    assert (recipe.backend, recipe.precision, recipe.threads, recipe.batch) == ("torch", "fp32", 1, 1)
    on_gpu = make_recipe(path, device="cuda:1")
    assert (on_gpu.precision, on_gpu.threads, on_gpu.batch) == ("fp16", None, 8)
    assert recipe.model_hash == on_gpu.model_hash
    with pytest.raises(GcposeError, match="no model 'r50'"):  # random weights: no two workers would have the same
        make_recipe("r50", "torch")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "nothing"}, "no model 'nothing'"),
        ({"backend": "caffe"}, "no backend is called 'caffe'"),
        ({"backend": "tensorrt"}, "is no folder of TensorRT engines; build them with: gcpose-trt build-engine"),
        ({"precision": "int4"}, "no precision is called 'int4'"),
        ({"size": "tall"}, "size 'tall' is not a size"),
        ({"min_score": -1.0}, "min_score -1.0 is out of range"),
        ({"max_people": 0}, "max_people 0 is out of range"),
        ({"threads": 0}, "threads 0 is out of range"),
        ({"batch": 0}, "batch 0 is out of range"),
        ({"segment_s": 0.0}, "segments of 0.0 s are out of range"),
        ({"segment_s": float("nan")}, "segments of nan s are out of range"),
        ({"segment_images": 0}, "segment_images 0 is out of range"),
    ],
)
def test_refusals(bundle: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(GcposeError, match=message) as caught:
        make_recipe(**{"model": bundle, **options})
    assert "\n" not in str(caught.value) and "; " in str(caught.value)


def test_annotating_needs_an_encoder(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h264, "ENCODERS", {})
    make_recipe(bundle)
    with pytest.raises(GcposeError, match=r"H\.264"):
        make_recipe(bundle, annotate=True)


def test_through_json() -> None:
    for recipe in (RECIPE, dataclasses.replace(RECIPE, threads=None, size="640", track=False)):
        assert from_json(json.loads(json.dumps(to_json(recipe)))) == recipe


@pytest.mark.parametrize("change", [{"threads": "1"}, {"track": 1}, {"batch": True}, {"size": 640}, {"later": 1}])
def test_another_version_s_json(change: dict[str, Any]) -> None:
    with pytest.raises(GcposeError, match="does not fit this version"):
        from_json({**to_json(RECIPE), **change})
    with pytest.raises(GcposeError, match="does not fit this version"):
        from_json({"model": "mobile"})


def test_differences_name_options() -> None:
    assert differences(RECIPE, RECIPE) == []
    changes: dict[str, tuple[Any, str]] = {
        "backend": ("torch", "--backend (onnxruntime, now torch)"),
        "precision": ("int8", "--precision (fp32, now int8)"),
        "size": ("64x96", "--size (the model's own, now 64x96)"),
        "min_score": (0.25, "--min-score (0.5, now 0.25)"),
        "max_people": (5, "--max-people (30, now 5)"),
        "threads": (None, "--threads (1, now the backend's own)"),
        "batch": (8, "--batch (1, now 8)"),
        "segment_s": (5.0, "(30.0, now 5.0)"),
        "segment_images": (8, "(64, now 8)"),
        "track": (False, "--track (on, now off)"),
        "annotate": (True, "--annotate (off, now on)"),
        "model_hash": ("cd", "--model (the files of mobile have changed)"),
    }
    assert set(changes) == {field.name for field in dataclasses.fields(Recipe)} - {"model"}, "none is forgotten"
    for name, (value, text) in changes.items():
        found = differences(RECIPE, dataclasses.replace(RECIPE, **{name: value}))
        assert len(found) == 1 and text in found[0]
    moved = dataclasses.replace(RECIPE, model="/models/other", model_hash="cd")
    assert differences(RECIPE, moved) == ["--model (mobile, now /models/other)"]
    # Another precision runs other files of the same model, which have not changed.
    smaller = dataclasses.replace(RECIPE, precision="int8", model_hash="other")
    assert differences(RECIPE, smaller) == ["--precision (fp32, now int8)"]


def test_threshold_of_joints(bundle: Path) -> None:
    with PoseEstimator(bundle) as estimator:
        assert keypoint_threshold(os.fspath(bundle), "onnxruntime") == estimator.keypoint_threshold
    assert (SHIPPED / "mobile").is_dir()
    with pytest.raises(GcposeError, match="no model 'gone'"):
        keypoint_threshold("gone", "onnxruntime")


@pytest.mark.parametrize(
    ("fixed", "size", "rule"),
    [
        (None, None, SizeRule(long=64)),
        (None, "96", SizeRule(long=96)),
        (None, "64x96", SizeRule(exact=(64, 96))),
        ([64, 96], None, SizeRule(exact=(64, 96), long=64)),
        ([64, 96], "64x96", SizeRule(exact=(64, 96), long=64)),
    ],
)
def test_rule_of_frames(
    fixed: list[int] | None, size: str | None, rule: SizeRule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_bundle(tmp_path / "model", size=fixed)
    recipe = make_recipe(model, size=size)
    with PoseEstimator(recipe.model, size=recipe.size) as estimator:
        assert estimator._rule == host_rule(recipe) == rule
    with monkeypatch.context() as patch:
        patch.setattr("gcpose_trt.runtime.backends.opening.open_backend", pytest.fail)
        assert host_rule(recipe) == rule, "what made the recipe has looked already"
    monkeypatch.setattr(recipe_module, "_infos", {})
    assert host_rule(recipe) == rule, "another process made the recipe"
    if recipe.size is None:
        with pytest.raises(GcposeError, match="no model 'gone'"):
            host_rule(dataclasses.replace(recipe, model="gone"))
