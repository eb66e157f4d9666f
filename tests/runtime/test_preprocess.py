"""Letterbox geometry, resizing, and pictures of every kind."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.preprocess import SizeRule, fit, parse_size, place, to_bgr8

sides = st.integers(1, 8000)
multiples = st.integers(1, 40).map(lambda n: 32 * n)
rules = st.one_of(
    st.builds(SizeRule, exact=st.tuples(multiples, multiples)),
    st.builds(SizeRule, long=st.integers(32, 2000)),
    st.builds(SizeRule, short=st.integers(32, 900), long=st.integers(900, 2000)),
)


@given(height=sides, width=sides, rule=rules)
def test_letterbox_holds_the_whole_frame(height: int, width: int, rule: SizeRule) -> None:
    box = fit((height, width), rule)
    assert box.frame == (height, width)
    assert all(1 <= inner <= outer and outer % 32 == 0 for inner, outer in zip(box.content, box.canvas, strict=True))
    if rule.exact:
        assert box.canvas == rule.exact
        assert any(inner == outer for inner, outer in zip(box.content, box.canvas, strict=True))
    else:
        assert max(box.content) <= rule.long
        assert all(outer - inner < 32 for inner, outer in zip(box.content, box.canvas, strict=True))
    # The aspect ratio is kept up to the rounding to whole pixels.
    x, y = box.scale
    assert abs(x * width - y * width) <= 1 + width / height or min(box.content) == 1


@given(height=sides, width=sides, rule=rules, seed=st.integers(0, 2**32 - 1))
def test_round_trip_of_coordinates(height: int, width: int, rule: SizeRule, seed: int) -> None:
    box = fit((height, width), rule)
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(0, 1, (4, 2, 2)), axis=1) * (width, height)
    boxes = corners.reshape(4, 4).astype(np.float32)
    back = box.boxes_to_frame(box.boxes_to_input(boxes))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, boxes, rtol=1e-6, atol=1e-3)
    keypoints = (rng.uniform(-0.3, 1.3, (4, 17, 3)) * (width, height, 1)).astype(np.float32)
    again = box.keypoints_to_frame(box.keypoints_to_input(keypoints))
    assert again.dtype == np.float32
    np.testing.assert_allclose(again, keypoints, rtol=1e-6, atol=1e-3)
    # The content's far corner is the frame's.
    whole = np.array([[0, 0, box.content[1], box.content[0]]], np.float32)
    np.testing.assert_allclose(box.boxes_to_frame(whole), [[0, 0, width, height]], rtol=1e-6)


def test_boxes_are_clipped_to_the_frame_and_keypoints_are_not() -> None:
    box = fit((100, 200), SizeRule(long=400))
    outside = np.array([[-10, -10, 500, 300]], np.float32)
    np.testing.assert_array_equal(box.boxes_to_frame(outside), [[0, 0, 200, 100]])
    keypoints = np.full((1, 17, 3), -8, np.float32)
    assert box.keypoints_to_frame(keypoints)[0, 0, 0] == -4


@pytest.mark.parametrize(
    ("frame", "rule", "content", "canvas"),
    [
        ((480, 640), SizeRule(short=800, long=1333), (800, 1067), (800, 1088)),
        ((1080, 1920), SizeRule(short=800, long=1333), (750, 1333), (768, 1344)),
        ((540, 960), SizeRule(long=512), (288, 512), (288, 512)),
        ((1920, 1088), SizeRule(long=512), (512, 290), (512, 320)),
        ((1, 1), SizeRule(long=512), (512, 512), (512, 512)),
        ((1, 9000), SizeRule(long=512), (1, 512), (32, 512)),
        ((720, 1280), SizeRule(exact=(384, 640)), (360, 640), (384, 640)),
        ((384, 640), SizeRule(exact=(384, 640)), (384, 640), (384, 640)),
    ],
)
def test_size_rules(frame: tuple[int, int], rule: SizeRule, content: tuple[int, int], canvas: tuple[int, int]) -> None:
    box = fit(frame, rule)
    assert (box.content, box.canvas) == (content, canvas)


@pytest.mark.parametrize("long", [128, 300, 512, 700, 1333])
def test_half_pixels(long: int) -> None:
    """A blob lies, after resizing, where the letterbox says that its centre goes: to a tenth of a pixel."""
    height, width = 700, 501
    y, x = np.mgrid[:height, :width] + 0.5
    centre = np.array([211.3, 402.8])
    blob = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * 12.0**2))
    frame = np.repeat((255 * blob).astype(np.uint8)[..., None], 3, axis=2)
    box = fit((height, width), SizeRule(long=long))
    weight = place(frame, box)[..., 0].astype(float)
    rows, columns = (np.arange(length) + 0.5 for length in weight.shape)
    found = np.array([(weight.sum(0) * columns).sum(), (weight.sum(1) * rows).sum()]) / weight.sum()
    wanted = box.keypoints_to_input(np.array([[[*centre, 1]]], np.float32))[0, 0, :2]
    assert np.abs(found - wanted).max() < 0.1


def test_shrinking_reads_every_pixel() -> None:
    # Lines one pixel wide, eight apart, at a quarter: linear interpolation alone would see all of them or none.
    frame = np.zeros((512, 512, 3), np.uint8)
    frame[:, ::8] = 255
    small = place(frame, fit((512, 512), SizeRule(long=128)))
    reference = cv2.resize(frame, (128, 128), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - reference).max() <= 1


def test_place_leaves_the_padding_alone() -> None:
    box = fit((100, 200), SizeRule(exact=(256, 256)))
    out = np.full((300, 280, 3), 7, np.uint8)
    frame = np.full((100, 200, 3), 200, np.uint8)
    assert place(frame, box, out) is out
    assert (out[:128, :256] == 200).all()
    assert (out[128:] == 7).all()
    assert (out[:, 256:] == 7).all()


@pytest.mark.parametrize(
    ("size", "rule"),
    [
        (None, None),
        (640, SizeRule(long=640)),
        ("640", SizeRule(long=640)),
        (500, SizeRule(long=500)),
        ((384, 640), SizeRule(exact=(384, 640))),
        ([384, 640], SizeRule(exact=(384, 640))),
        ("384x640", SizeRule(exact=(384, 640))),
        ("384X640", SizeRule(exact=(384, 640))),
        (np.int64(640), SizeRule(long=640)),
    ],
)
def test_sizes(size: object, rule: SizeRule | None) -> None:
    assert parse_size(size) == rule


@pytest.mark.parametrize(
    "size",
    ["", "x", "abc", "12x", "640x", "1x2x3", 0, 31, -640, "-640", 10**6, (100, 640), "383x640", (640,) * 3, 640.5, ()],
)
def test_bad_sizes(size: object) -> None:
    with pytest.raises(GcposeError, match="size") as caught:
        parse_size(size)
    assert "\n" not in str(caught.value)


def test_bad_size_suggests_a_good_one() -> None:
    with pytest.raises(GcposeError, match="try 384x640"):
        parse_size("360x640")


GREY = np.array([[0, 100], [200, 255]], np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        GREY,
        GREY[..., None],
        np.repeat(GREY[..., None], 3, axis=2),
        GREY.astype(np.uint16) * 257,
        (GREY / 255).astype(np.float32),
        (GREY / 255).astype(np.float64),
        GREY.astype(np.float16),
        np.dstack([GREY, np.full((2, 2), 255, np.uint8)]),
        np.dstack([GREY] * 3 + [np.full((2, 2), 255, np.uint8)]),
        np.dstack([GREY] * 3 + [np.full((2, 2), 255, np.uint8)]).astype(np.uint16) * 257,
        np.repeat(GREY[..., None], 3, axis=2)[::-1][::-1],
    ],
)
def test_pictures_of_every_kind(image: np.ndarray) -> None:
    bgr = to_bgr8(image)
    assert bgr.dtype == np.uint8
    assert bgr.flags.c_contiguous
    np.testing.assert_array_equal(bgr, np.repeat(GREY[..., None], 3, axis=2))


def test_alpha_shows_white_behind() -> None:
    pixel = np.array([[[0, 100, 200, 0], [0, 100, 200, 255], [0, 100, 200, 128]]], np.uint8)
    np.testing.assert_array_equal(to_bgr8(pixel)[0], [[255, 255, 255], [0, 100, 200], [127, 177, 227]])


def test_bool_and_nan() -> None:
    np.testing.assert_array_equal(to_bgr8(np.array([[True, False]]))[0, :, 0], [255, 0])
    np.testing.assert_array_equal(to_bgr8(np.array([[np.nan, np.inf, 0.5]], np.float32))[0, :, 0], [0, 255, 128])


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.int64),
        np.zeros((4, 4), complex),
        None,
        "frame",
    ],
)
def test_what_is_no_picture_is_refused(image: object) -> None:
    with pytest.raises(GcposeError, match="a frame"):
        to_bgr8(image)
