"""The letterbox kernel on the CPU against what the runtime does on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.errors import GcposeError
from gcpose_trt.plugins.kernels import Kernels
from gcpose_trt.runtime.preprocess import Image, Letterbox, SizeRule, fit, place

POISON = 201


def resize(kernels: Kernels, frame: Image, box: Letterbox, /, **changes: Any) -> Image:
    """Return the canvas as the kernel writes it over other pixels."""
    canvas = np.full((*box.canvas, 3), POISON, np.uint8)
    arguments: dict[str, Any] = {
        "frame": frame.ctypes.data,
        "frame_pitch": frame.strides[0],
        "frame_size": frame.shape[:2],
        "canvas": canvas.ctypes.data,
        "canvas_size": box.canvas,
        "content_size": box.content,
    }
    kernels.letterbox(**{**arguments, **changes})
    return canvas


def check(kernels: Kernels, frame: Image, box: Letterbox) -> None:
    expected = place(np.ascontiguousarray(frame), box).astype(int)
    canvas = resize(kernels, frame, box).astype(int)
    assert np.abs(canvas - expected).max() <= 2
    height, width = box.content
    assert not canvas[height:].any() and not canvas[:, width:].any()


def noise(seed: int, height: int, width: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


length = st.one_of(st.integers(1, 40), st.integers(41, 700))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    height=length,
    width=length,
    exact=st.tuples(st.sampled_from([32, 64, 96]), st.sampled_from([32, 64, 160])),
    seed=st.integers(0, 99),
)
def test_any_size(cpu_kernels: Kernels, height: int, width: int, exact: tuple[int, int], seed: int) -> None:
    check(cpu_kernels, noise(seed, height, width), fit((height, width), SizeRule(exact=exact)))


@pytest.mark.parametrize(
    ("frame", "exact"),
    [
        ((1, 1), (64, 64)),
        ((1, 900), (32, 64)),
        ((900, 1), (32, 64)),
        ((129, 65), (64, 32)),  # a little more than twice
        ((128, 64), (64, 32)),  # twice: one step
        ((2049, 1025), (32, 32)),  # odd after each of six halvings
        ((1081, 1921), (96, 160)),
    ],
)
def test_chosen_sizes(cpu_kernels: Kernels, frame: tuple[int, int], exact: tuple[int, int]) -> None:
    check(cpu_kernels, noise(0, *frame), fit(frame, SizeRule(exact=exact)))


def test_both_axes_stretched_as_one_likes(cpu_kernels: Kernels) -> None:
    check(cpu_kernels, noise(1, 50, 300), Letterbox(frame=(50, 300), content=(60, 40), canvas=(64, 64)))


def test_a_frame_of_the_right_size_is_copied(cpu_kernels: Kernels) -> None:
    frame = noise(2, 50, 64)
    canvas = resize(cpu_kernels, frame, fit((50, 64), SizeRule(exact=(64, 64))))
    assert np.array_equal(canvas[:50], frame)


def test_rows_with_a_gap(cpu_kernels: Kernels) -> None:
    """A view into a larger picture, as decoders and crops give it."""
    picture = noise(3, 200, 300)
    check(cpu_kernels, picture[20:170, 30:250], fit((150, 220), SizeRule(exact=(64, 64))))


@pytest.mark.parametrize(
    "changes",
    [
        {"frame": 0},
        {"canvas": 0},
        {"frame_pitch": 10},
        {"frame_size": (0, 4)},
        {"content_size": (33, 32)},
        {"content_size": (32, 0)},
        {"frame_size": (1 << 22, 1 << 22), "frame_pitch": 3 << 22},
    ],
    ids=str,
)
def test_refuses(cpu_kernels: Kernels, changes: dict[str, Any]) -> None:
    box = Letterbox(frame=(8, 8), content=(32, 32), canvas=(32, 32))
    with pytest.raises(GcposeError, match="letterbox was refused"):
        resize(cpu_kernels, noise(0, 8, 8), box, **changes)
