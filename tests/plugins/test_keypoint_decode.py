"""The decoding kernel on the CPU: against the PyTorch operation, the reference's joints, and boxes of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gcpose_trt.errors import GcposeError
from gcpose_trt.model.ops import keypoint_decode, keypoint_decode_exhaustive
from gcpose_trt.plugins.kernels import FLOAT16, FLOAT32, Kernels


def decode(kernels: Kernels, logits: Tensor, boxes: Tensor, /, **changes: Any) -> Tensor:
    """Return (N, K, 3) as the kernel writes it over NaN."""
    output = torch.full((*logits.shape[:2], 3), float("nan"))
    arguments: dict[str, Any] = {
        "logits": logits.data_ptr(),
        "type": FLOAT16 if logits.dtype == torch.float16 else FLOAT32,
        "boxes": boxes.data_ptr(),
        "num": logits.shape[0],
        "joints": logits.shape[1],
        "size": logits.shape[2],
        "samples_per_cell": 4,
        "score_radius": 0.0,
        "output": output.data_ptr(),
    }
    kernels.keypoint_decode(**{**arguments, **changes})
    return output


def smooth(seed: int, people: int, joints: int, size: int) -> Tensor:
    """Logits with peaks as a network makes them, on uneven ground."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(people * joints, 1, size + 4, size + 4, generator=generator)
    blurred = F.avg_pool2d(noise, 5, stride=1)
    return 25 * blurred.reshape(people, joints, size, size)


def value_at(logits: Tensor, boxes: Tensor, keypoints: Tensor) -> Tensor:
    """Return the height (N, K) of the interpolated map where keypoints lie."""
    low, side = boxes[:, None, :2], (boxes[:, None, 2:] - boxes[:, None, :2]).clamp(min=1)
    size = logits.shape[-1]
    grid = (keypoints[..., :2] - low) / side * 2 - 1
    padded = F.pad(logits, (4, 4, 4, 4), mode="replicate").flatten(0, 1)[:, None]
    inside = grid * size / (size + 8)
    return F.grid_sample(padded, inside.reshape(-1, 1, 1, 2), mode="bicubic", align_corners=False).reshape(
        keypoints.shape[:2]
    )


def check(output: Tensor, expected: Tensor, logits: Tensor, boxes: Tensor) -> None:
    """Compare joints; where two peaks are of one height but for rounding, either will do."""
    distance = (output[..., :2] - expected[..., :2]).abs().amax(-1)
    heights = [value_at(logits.float(), boxes, keypoints) for keypoints in (output, expected)]
    tied = (heights[0] - heights[1]).abs() < 2e-4
    assert ((distance <= 0.25) | tied).all(), distance
    assert ((distance <= 1e-3 * boxes.abs().amax().clamp(min=1)) | tied).all()
    agree = distance <= 0.25
    torch.testing.assert_close(output[..., 2][agree], expected[..., 2][agree], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("image", ["r50_000000000885", "r50_000000001353"])
def test_reference_logits(cpu_kernels: Kernels, shared: Path, image: str) -> None:
    """The reference's maps in boxes of its people, enlarged: the pixel is that of the exhaustive search."""
    reference = np.load(shared / "reference" / f"{image}.npz")
    logits = torch.from_numpy(reference["heatmap_logits"])
    boxes = torch.from_numpy(reference["det_boxes"][:4])
    output = decode(cpu_kernels, logits, boxes)
    check(output, keypoint_decode(logits, boxes), logits, boxes)
    exhaustive = keypoint_decode_exhaustive(logits, boxes)
    assert ((output - exhaustive)[..., :2].abs().amax(-1) <= 0.25).float().mean() >= 0.97


side = st.one_of(
    st.floats(0.125, 900, width=32), st.integers(1, 300).map(float), st.sampled_from([224.0, 225.0, 448.5])
)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    sides=st.lists(st.tuples(side, side), min_size=1, max_size=2),
    corner=st.tuples(st.floats(-300, 1500, width=32), st.floats(-300, 1500, width=32)),
    size=st.sampled_from([1, 2, 7, 28, 56]),
    samples=st.sampled_from([1, 2, 4]),
    radius=st.sampled_from([0.0, 0.5, 2.0]),
    dtype=st.sampled_from([torch.float32, torch.float16]),
    seed=st.integers(0, 99),
)
def test_any_boxes(
    cpu_kernels: Kernels,
    sides: list[tuple[float, float]],
    corner: tuple[float, float],
    size: int,
    samples: int,
    radius: float,
    dtype: torch.dtype,
    seed: int,
) -> None:
    boxes = torch.tensor([[*corner, corner[0] + width, corner[1] + height] for width, height in sides])
    logits = smooth(seed, len(sides), 2, size).to(dtype)
    output = decode(cpu_kernels, logits, boxes, samples_per_cell=samples, score_radius=radius)
    expected = keypoint_decode(logits, boxes, samples_per_cell=samples, score_radius=radius)
    check(output, expected, logits, boxes)


@pytest.mark.parametrize(("size", "dtype"), [(112, torch.float32), (128, torch.float16)])
def test_large_maps(cpu_kernels: Kernels, size: int, dtype: torch.dtype) -> None:
    logits = smooth(5, 1, 2, size).to(dtype)
    boxes = torch.tensor([[10.0, 20.0, 710.0, 999.0]])
    check(decode(cpu_kernels, logits, boxes), keypoint_decode(logits, boxes), logits, boxes)


def test_boxes_that_are_no_boxes(cpu_kernels: Kernels) -> None:
    boxes = torch.tensor(
        [
            [5.0, 5.0, 5.0, 5.0],
            [50.0, 60.0, 10.0, 20.0],
            [0.0, 0.0, 1e6, 3.0],
            [-1e9, -1e9, 1e9, 1e9],
            [0.0, 0.0, 1e30, 1e30],
            [-3e38, 0.0, 3e38, 10.0],
            [1e9, 1e9, 1e9 + 64, 1e9 + 64],
        ]
    )
    logits = smooth(1, len(boxes), 2, 14)
    output = decode(cpu_kernels, logits, boxes, score_radius=1.0)
    assert output.isfinite().all()
    expected = keypoint_decode(logits[:2], boxes[:2], score_radius=1.0)
    check(output[:2], expected, logits[:2], boxes[:2])
    low, high = boxes[2:, None, :2], boxes[2:, None, 2:]
    assert ((output[2:, :, :2] >= low) & (output[2:, :, :2] <= high)).all()


def test_a_giant_box_has_its_peak_where_the_cell_is(cpu_kernels: Kernels) -> None:
    """A single peak at cell (9, 4) of 14, in a box of a million pixels, which takes several rounds to find."""
    logits = torch.zeros(1, 1, 14, 14)
    logits[0, 0, 4, 9] = 10
    x, y, _ = decode(cpu_kernels, logits, torch.tensor([[0.0, 0.0, 1.4e6, 7e5]]))[0, 0].tolist()
    assert abs(x - 9.5e5) < 200 and abs(y - 4.5 * 5e4) < 100


def test_boxes_of_nan_and_infinity_disturb_no_other(cpu_kernels: Kernels) -> None:
    usual = torch.tensor([[3.0, 4.0, 90.0, 120.0]])
    nan, inf = float("nan"), float("inf")
    odd = torch.tensor([[nan] * 4, [0.0, 0.0, inf, inf], [-inf, -inf, inf, inf], [0.0, nan, 5.0, 9.0]])
    logits = smooth(2, 1, 2, 28).repeat(5, 1, 1, 1)
    output = decode(cpu_kernels, logits, torch.cat([odd, usual]))
    assert output[..., 2].isfinite().all()
    assert torch.equal(output[4:], decode(cpu_kernels, logits[:1].contiguous(), usual))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_maps_that_say_nothing(cpu_kernels: Kernels, value: float) -> None:
    logits = torch.full((1, 2, 28, 28), value)
    logits[0, 1] = smooth(3, 1, 1, 28)[0, 0]
    boxes = torch.tensor([[10.0, 20.0, 60.0, 90.0]])
    output = decode(cpu_kernels, logits, boxes, score_radius=1.0)
    assert output.isfinite().all()
    assert (output[0, 0, :2] >= boxes[0, :2]).all() and (output[0, 0, :2] <= boxes[0, 2:]).all()
    expected = keypoint_decode(logits[:, 1:], boxes, score_radius=1.0)
    check(output[:, 1:], expected, logits[:, 1:], boxes)


def test_ties_go_to_the_first(cpu_kernels: Kernels) -> None:
    logits = torch.zeros(1, 2, 8, 8)
    logits[0, 1, 2, 5] = logits[0, 1, 2, 1] = logits[0, 1, 6, 0] = 3.0
    output = decode(cpu_kernels, logits, torch.tensor([[0.0, 0.0, 8.0, 8.0]]))
    assert output[0, :, :2].tolist() == [[0.5, 0.5], [1.5, 2.5]]
    assert output[0, 0, 2].item() == pytest.approx(1 / 64)


def test_nobody(cpu_kernels: Kernels) -> None:
    assert decode(cpu_kernels, torch.zeros(0, 17, 56, 56), torch.zeros(0, 4)).shape == (0, 17, 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 0},
        {"size": 129},
        {"samples_per_cell": 0},
        {"samples_per_cell": 17},
        {"score_radius": -1.0},
        {"score_radius": float("nan")},
        {"type": 7},
        {"num": -1},
        {"boxes": 0},
    ],
    ids=str,
)
def test_refuses(cpu_kernels: Kernels, changes: dict[str, Any]) -> None:
    with pytest.raises(GcposeError, match="keypoint_decode was refused"):
        decode(cpu_kernels, torch.zeros(1, 1, 8, 8), torch.zeros(1, 4), **changes)
