"""The panel can be read on any ground, and fits any picture."""

from __future__ import annotations

import numpy as np
import pytest

from gcpose_trt.pose.drawing.hud import draw_hud, hud_height
from gcpose_trt.pose.drawing.text import plain, text_mask

LINES = (
    "source\t29.8 FPS",
    "inference\t31.2 FPS",
    "latency\tp50 38 ms  p99 61 ms",
    "device\tcpu",
    "model\tmobile int8",
)


@pytest.mark.parametrize("ground", [0, 128, 255])
@pytest.mark.parametrize("size", [(240, 320), (480, 640), (1080, 1920)])
def test_text_stands_out_from_the_panel_on_any_ground(ground: int, size: tuple[int, int]) -> None:
    canvas = np.full((*size, 3), ground, np.uint8)
    draw_hud(canvas, LINES)
    rows, columns = np.nonzero((canvas != ground).any(axis=2))
    panel = canvas[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    dark, light = np.percentile(panel, 25), panel.max()
    assert light - dark > 150
    assert 0.015 < panel.size / canvas.size < 0.5
    assert rows.min() > 0
    assert columns.min() > 0


def test_letters_grow_with_the_picture_but_not_as_fast() -> None:
    small, middle, large = (hud_height(*size) for size in ((240, 320), (1080, 1920), (2160, 3840)))
    assert 6 <= small < middle < large
    assert large / small < 3840 / 320


def test_long_lines_are_cut_and_too_many_left_out() -> None:
    canvas = np.zeros((120, 160, 3), np.uint8)
    draw_hud(canvas, ["model\t" + "very long name " * 20] * 40)
    assert canvas.any()
    assert not canvas[:, -1].any()
    assert not canvas[-1].any()


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (1, 500), (500, 1), (30, 40)])
def test_small_pictures_have_what_fits_or_nothing(size: tuple[int, int]) -> None:
    canvas = np.zeros((*size, 3), np.uint8)
    draw_hud(canvas, LINES)
    assert canvas.shape == (*size, 3)


def test_no_lines_draw_nothing_and_odd_ones_do_no_harm() -> None:
    canvas = np.full((240, 320, 3), 90, np.uint8)
    draw_hud(canvas, ())
    assert (canvas == 90).all()
    draw_hud(canvas, ["", "\t", "a\tb\tc", "Zürich – Straße 5 °C…", "東京", "\x00\n"])
    assert canvas.min() < 90


def test_other_alphabets_become_what_the_font_has() -> None:
    assert plain("Zürich\t…") == "Zurich ..."
    assert plain("東") == "?"


@pytest.mark.parametrize("height", [6, 9, 14, 30])
def test_capitals_have_the_height_asked_for(height: int) -> None:
    rows = np.nonzero(text_mask("HEXE", height).max(axis=1) > 100)[0]
    assert abs((rows.max() - rows.min() + 1) - height) <= max(1, 0.15 * height)


def test_digits_are_equally_wide_so_that_numbers_do_not_dance() -> None:
    assert len({text_mask(f"{digit}{digit}", 12).shape[1] for digit in range(10)}) <= 2
