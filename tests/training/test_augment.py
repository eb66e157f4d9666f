"""Do labels stay on the pixels they belong to, whatever is done to the image?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from gcpose_trt.training import augment
from gcpose_trt.training.augment import Sample, make_sample
from gcpose_trt.training.config import AugmentConfig
from gcpose_trt.training.datasets import ImageRecord

HEIGHT, WIDTH = 120, 160
# Each visible joint is painted as a disc of its own colour, so that it can be found again in the sample.
COLOURS = {5: (255, 0, 0), 6: (0, 255, 0), 13: (0, 0, 255), 16: (0, 255, 255)}
PLACES = {5: (90.5, 50.5), 6: (70.5, 52.5), 13: (88.5, 90.5), 16: (72.5, 100.5)}


@pytest.fixture
def record(tmp_path: Path) -> ImageRecord:
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    keypoints = np.zeros((1, 17, 3), np.float32)
    for joint, (x, y) in PLACES.items():
        cv2.circle(image, (int(x), int(y)), 4, COLOURS[joint], -1)
        keypoints[0, joint] = (x, y, 1)
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), image)
    box = np.array([[60, 40, 100, 110]], np.float32)
    return ImageRecord(path, HEIGHT, WIDTH, box, keypoints, np.zeros((0, 4), np.float32))


def painted_centre(sample: Sample, colour: tuple[int, int, int]) -> tuple[float, float]:
    """Return the continuous centre of the disc of one colour."""
    near = np.abs(sample.image.astype(int) - colour).max(2) < 60
    rows, columns = np.nonzero(near)
    assert len(rows) > 4
    return columns.mean() + 0.5, rows.mean() + 0.5


CONFIGS = {
    "whole": AugmentConfig(short=(90, 240), long=400),
    "small": AugmentConfig(canvas=(128, 192), scale=(0.6, 0.9)),
    "large": AugmentConfig(canvas=(256, 256), scale=(1.5, 2.0), rotation=15),
    "person": AugmentConfig(canvas=(160, 160), person_size=(60, 120), rotation=60),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_keypoints_stay_on_their_pixels(record: ImageRecord, name: str) -> None:
    config = CONFIGS[name]
    flips = 0
    for seed in range(12):
        sample = make_sample(record, 0 if name == "person" else -1, config, np.random.default_rng(seed))
        assert sample.image.dtype == np.uint8
        for person in sample.keypoints:
            for joint, (x, y, weight) in enumerate(person):
                if weight == 0 or min(x, y, sample.image_size[1] - x, sample.image_size[0] - y) < 12:
                    continue
                # A mirrored left shoulder is a right shoulder: its paint is that of the joint it was.
                found = {
                    old: painted_centre(sample, colour)
                    for old, colour in COLOURS.items()
                    if old in (joint, _twin(joint))
                }
                distances = {old: np.hypot(px - x, py - y) for old, (px, py) in found.items()}
                assert min(distances.values()) < 0.75
                flips += min(distances, key=lambda old: distances[old]) != joint
    assert flips > 0


def _twin(joint: int) -> int:
    return int(augment.MIRRORED_JOINTS[joint])


def test_mirror_without_flip_changes_nothing_but_sides(record: ImageRecord) -> None:
    config = AugmentConfig(canvas=(128, 160), flip=1.0)
    mirrored = make_sample(record, -1, config, np.random.default_rng(0))
    plain = make_sample(record, -1, replace(config, flip=0.0), np.random.default_rng(0))
    np.testing.assert_array_equal(mirrored.image[:HEIGHT, ::-1], plain.image[:HEIGHT])
    expected = plain.keypoints[:, augment.MIRRORED_JOINTS].copy()
    expected[..., 0] = WIDTH - expected[..., 0]
    visible = expected[..., 2] > 0
    np.testing.assert_allclose(mirrored.keypoints[visible], expected[visible], atol=1e-4)
    np.testing.assert_allclose(mirrored.boxes, [[WIDTH - 100, 40, WIDTH - 60, 110]], atol=1e-4)


def test_identity_keeps_the_image(record: ImageRecord) -> None:
    sample = make_sample(record, -1, AugmentConfig(canvas=(128, 192), flip=0.0), np.random.default_rng(0))
    np.testing.assert_array_equal(sample.image[:HEIGHT, :WIDTH], cv2.imread(str(record.path)))
    assert sample.image_size == (HEIGHT, WIDTH)
    assert (sample.image[HEIGHT:] == 127).all()
    np.testing.assert_array_equal(sample.boxes, record.boxes)


def test_resize_follows_the_short_and_the_long_side(record: ImageRecord) -> None:
    rng = np.random.default_rng(0)
    sample = make_sample(record, -1, AugmentConfig(short=(240,), long=1000), rng)
    assert sample.image_size == sample.image.shape[:2] == (240, 320)
    sample = make_sample(record, -1, AugmentConfig(short=(240,), long=200), rng)
    assert sample.image_size == (150, 200)


def test_boxes_stay_inside_and_hardly_visible_people_are_ignored(record: ImageRecord) -> None:
    config = AugmentConfig(canvas=(64, 64), scale=(1.5, 1.5), min_visible=0.4)
    ignored = kept = 0
    for seed in range(60):
        sample = make_sample(record, -1, config, np.random.default_rng(seed))
        for boxes in (sample.boxes, sample.ignore):
            assert (boxes >= 0).all()
            assert (boxes <= 64).all()
        assert len(sample.boxes) == len(sample.keypoints)
        points = sample.keypoints[sample.keypoints[..., 2] > 0]
        assert ((points >= 0) & (points <= 64)).all()
        kept += len(sample.boxes)
        ignored += len(sample.ignore)
    assert kept > 5
    assert ignored > 5


def test_crop_holds_a_person(record: ImageRecord) -> None:
    config = AugmentConfig(canvas=(64, 64), scale=(2.0, 2.0), hold_person=1.0, min_visible=0.0)
    assert all(len(make_sample(record, -1, config, np.random.default_rng(seed)).boxes) for seed in range(30))


def test_person_size_is_met(record: ImageRecord) -> None:
    config = AugmentConfig(canvas=(128, 128), person_size=(50, 80))
    heights = []
    for seed in range(20):
        box = make_sample(record, 0, config, np.random.default_rng(seed)).boxes[0]
        heights.append(float(box[3] - box[1]))
    assert 49.9 < min(heights) < 57
    assert 73 < max(heights) < 80.1


def test_turned_boxes_hold_the_body(record: ImageRecord) -> None:
    matrix = np.array([[0.0, -1, 120], [1, 0, 0]])
    view = augment.View(matrix, (160, 120), (160, 120), False, np.pi / 2)
    np.testing.assert_allclose(augment.transform_boxes(record.boxes, view), [[10, 60, 80, 100]], atol=1e-4)


def test_shrinking_averages_instead_of_skipping(tmp_path: Path) -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 200
    view = augment.View(np.array([[0.25, 0, 0], [0, 0.25, 0]]), (64, 64), (64, 64), False, 0.0)
    assert np.ptp(augment.warp(stripes, view, 0)[8:-8, 8:-8]) <= 2


def test_colour_changes_stay_colours() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    assert augment.jitter_colour(image, AugmentConfig(), np.random.default_rng(0)) is image
    grey = augment.jitter_colour(image, AugmentConfig(grey=1.0), np.random.default_rng(0)).astype(int)
    assert np.ptp(grey, axis=2).max() <= 1
    np.testing.assert_allclose(grey[..., 0], cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), atol=1.5)
    strong = AugmentConfig(brightness=0.4, contrast=0.4, saturation=0.4, hue=20)
    changed = [augment.jitter_colour(image, strong, np.random.default_rng(seed)) for seed in (1, 2)]
    assert np.abs(changed[0].astype(int) - changed[1]).mean() > 3


def test_same_generator_same_sample(record: ImageRecord) -> None:
    config = AugmentConfig(canvas=(96, 96), scale=(0.5, 2.0), rotation=10, brightness=0.3, hue=10)
    first, again, other = (make_sample(record, -1, config, np.random.default_rng(seed)) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.keypoints, again.keypoints)
    assert not np.array_equal(first.image, other.image)
