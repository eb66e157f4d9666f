from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.graph.prepare import prepare_bundle
from gcpose_trt.quantization import calibration
from gcpose_trt.quantization.calibration import Options, calibrate
from gcpose_trt.quantization.collecting import Collector, split, wanted
from gcpose_trt.quantization.images import choose_images
from gcpose_trt.quantization.record import CalibrationRecord
from gcpose_trt.runtime.preprocess import SizeRule
from tests.quantization.conftest import make_images, make_model

ALL = Options(max_images=24, threads=1)


class Interrupted:
    """A progress bar during which the user presses Ctrl-C."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(self, files: Iterable[Path], done: int, total: int) -> Iterator[Path]:
        for number, file in enumerate(files, 1):
            yield file
            if number == self.after:
                raise KeyboardInterrupt


def test_ranges_are_those_of_the_pictures_and_repeat_to_the_byte(model: Path, pictures: Path, tmp_path: Path) -> None:
    result = calibrate(model, pictures, tmp_path / "a.json", ALL)
    calibrate(model, pictures, tmp_path / "b.json", ALL)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    record = CalibrationRecord.load(tmp_path / "a.json")
    assert record.images["count"] == 24 and record.images["people"] == 24
    # The pictures are grey levels up to 33 beside blue of 200; p2 is half the pooled brightest channel.
    assert record.amax("p2", "max", "detector") == pytest.approx(100, abs=1)
    assert record.tensor("pooled", "detector").max == pytest.approx(200, abs=2)
    assert record.amax("cells", "max", "pose") == pytest.approx(200, abs=2)
    # Both graphs have a value of this name; neither hides the other.
    assert record.amax("pooled", "max", "pose") == pytest.approx(100, abs=1)
    assert record.weight_amax("model.p2.weight").amax.tolist() == [0.5]
    graphs = prepare_bundle(model)
    record.check(graphs.detector, graphs.pose)
    assert not result.skipped and any("only 24 people" in note for note in result.notes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]


@pytest.mark.parametrize("after", [3, 10, 17])
def test_an_interrupted_calibration_goes_on_and_ends_the_same(
    model: Path, pictures: Path, tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "SAVE_EVERY", 3)
    output = tmp_path / "c.json"
    with pytest.raises(KeyboardInterrupt):
        calibrate(model, pictures, output, ALL, bar=Interrupted(after))
    assert not output.exists() and (tmp_path / "c.json.partial").is_file()
    lines: list[str] = []
    resumed = calibrate(model, pictures, output, ALL, say=lines.append)
    # The bar may be told of an image before it is counted.
    assert resumed.resumed in (after // 3 * 3, (after - 1) // 3 * 3) and "going on after" in lines[0]
    calibrate(model, pictures, tmp_path / "whole.json", ALL)
    assert output.read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert not (tmp_path / "c.json.partial").exists()


@pytest.mark.parametrize("why", ["other seed", "other images", "damaged"])
def test_a_state_of_something_else_is_not_used(
    model: Path, pictures: Path, tmp_path: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "SAVE_EVERY", 2)
    output = tmp_path / "c.json"
    with pytest.raises(KeyboardInterrupt):
        calibrate(model, pictures, output, ALL, bar=Interrupted(5))
    options, folder = ALL, pictures
    if why == "other seed":
        options = Options(max_images=24, threads=1, seed=1)
    elif why == "other images":
        folder = make_images(tmp_path / "other", 25)
        options = Options(max_images=25, threads=1)
    else:
        partial = tmp_path / "c.json.partial"
        partial.write_bytes(partial.read_bytes()[:5000])
    lines: list[str] = []
    result = calibrate(model, folder, output, options, say=lines.append)
    assert result.resumed == 0 and "starting afresh" in lines[0]
    assert result.record.images["count"] == options.max_images


def test_a_few_unreadable_images_are_named_and_left_out(model: Path, pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    shutil.copytree(pictures, folder)
    (folder / "7.png").write_bytes(b"not a picture")
    result = calibrate(model, folder, tmp_path / "c.json", ALL)
    assert len(result.skipped) == 1 and "7.png" in result.skipped[0]
    assert (result.record.images["count"], result.record.images["skipped"]) == (23, 1)
    (folder / "8.png").write_bytes(b"")
    with pytest.raises(GcposeError, match="2 of 24 images cannot be read") as caught:
        calibrate(model, folder, tmp_path / "d.json", ALL)
    assert "8.png" in str(caught.value) and list(tmp_path.glob("d.json*")) == []


def test_images_without_people(model: Path, pictures: Path, tmp_path: Path) -> None:
    folder = make_images(tmp_path / "empty", 3, people=False)
    with pytest.raises(GcposeError, match="nobody was found in the 3 images"):
        calibrate(model, folder, tmp_path / "c.json", Options(max_images=3))
    shutil.copy(pictures / "0.png", folder / "person.png")
    images = calibrate(model, folder, tmp_path / "c.json", Options(max_images=4)).record.images
    assert (images["without_people"], images["people"]) == (3, 1)


def test_values_that_are_not_finite_name_the_tensor(pictures: Path, tmp_path: Path) -> None:
    damaged = make_model(tmp_path / "model", weight=float("inf"))
    with pytest.raises(GcposeError, match=r"tensor p2 of the detector graph has (NaN|infinite values) on 0\.png"):
        calibrate(damaged, pictures, tmp_path / "c.json", ALL)
    assert list(tmp_path.glob("c.json*")) == []


def test_a_tensor_that_never_changes_is_named(pictures: Path, tmp_path: Path) -> None:
    dead = make_model(tmp_path / "model", weight=0.0)
    result = calibrate(dead, pictures, tmp_path / "c.json", ALL)
    assert any("never changed" in note and "p2" in note for note in result.notes)
    assert result.record.amax("p2", "entropy", "detector") == 0


def test_too_few_images_are_refused_unless_accepted(pictures: Path) -> None:
    with pytest.raises(GcposeError, match=r"has 24 images.*at least 200.*--max-images 24"):
        choose_images(pictures)
    with pytest.raises(GcposeError, match="at least 100"):
        choose_images(pictures, 100)
    assert len(choose_images(pictures, 24).files) == 24


def test_the_choice_of_images_follows_the_seed(pictures: Path) -> None:
    first, again, other = (choose_images(pictures, 10, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert [int(file.stem) for file in first.files] == sorted(int(file.stem) for file in first.files)


def test_the_list_depends_on_contents_not_on_the_folder(pictures: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(pictures, copy)
    assert choose_images(copy, 24).sha256 == choose_images(pictures, 24).sha256
    cv2.imwrite(str(copy / "3.png"), np.zeros((8, 8, 3), np.uint8))
    assert choose_images(copy, 24).sha256 != choose_images(pictures, 24).sha256


def test_a_size_that_the_model_does_not_take_is_refused(pictures: Path, tmp_path: Path) -> None:
    fixed = make_model(tmp_path / "model", size=[64, 64])
    with pytest.raises(GcposeError, match="inputs of 64x64 only"):
        calibrate(fixed, pictures, tmp_path / "c.json", Options(max_images=24, size=SizeRule(exact=(32, 32))))
    assert calibrate(fixed, pictures, tmp_path / "c.json", ALL).record.input["size"] == [64, 64]


def peak(model: Path, pictures: Path, output: Path, count: int) -> int:
    tracemalloc.start()
    calibrate(model, pictures, output, Options(max_images=count, threads=1))
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def test_memory_does_not_grow_with_the_images(model: Path, pictures: Path, tmp_path: Path) -> None:
    peak(model, pictures, tmp_path / "warm.json", 2)
    # Both also write a state, which takes as much as all histograms.
    few, many = (peak(model, pictures, tmp_path / f"{count}.json", count) for count in (10, 24))
    assert many < 1.2 * few


def test_portions_hold_every_name_once_within_the_budget() -> None:
    names, sizes = list("abcdef"), {"a": 5, "b": 5, "c": 30, "d": 1, "e": 9, "f": 1}
    portions = split(names, sizes, 10)
    assert portions == [["a", "b"], ["c"], ["d", "e"], ["f"]]
    assert split([], {}, 10) == [[]]


def test_several_runs_count_as_one_does(pictures: Path) -> None:
    graphs = prepare_bundle("mobile")
    rule = SizeRule(long=64)
    image = cv2.imread(str(pictures / "0.png"))
    image = cv2.resize(image, (64, 48))
    one, many = (
        Collector(graphs.detector, graphs.pose, rule, bins=256, threads=1, budget=budget)
        for budget in (1 << 30, 1 << 24)
    )
    assert one.add(image, "x") == many.add(image, "x")
    assert len(one.histograms) > 150
    for key, histogram in one.histograms.items():
        other = many.histograms[key]
        # What is fetched decides what ONNX Runtime fuses, and so the last bits.
        assert (other.total, other.exponent) == (histogram.total, histogram.exponent), key
        assert (other.min, other.max) == pytest.approx((histogram.min, histogram.max), rel=1e-3, abs=1e-4), key


def test_every_activation_that_may_be_quantized_is_looked_at() -> None:
    graphs = prepare_bundle("mobile")
    names = wanted(graphs.detector, "detector")
    assert "where" in names and "p2" in names  # the network's input as it is normalised, and what the pose graph reads
    constants = {tensor.name for tensor in graphs.detector.graph.initializer}
    assert not constants.intersection(names) and len(set(names)) == len(names)
