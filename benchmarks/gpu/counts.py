"""Bytes and operations that each kernel cannot do without, and the time a GPU needs for them: pure arithmetic.

A byte counts once for each time that it must cross between memory and the chip: inputs once, outputs once. An operation
is one addition or one multiplication of the mathematics, on matrix units where it belongs to a matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """What a kernel has to do.

    Attributes:
        bytes: read and written.
        matrix_operations: of matrix products.
        operations: all others.
    """

    bytes: int
    matrix_operations: int = 0
    operations: int = 0


@dataclass(frozen=True)
class Peaks:
    """What a GPU can do, all of it per second.

    Attributes:
        bytes: between memory and chip.
        matrix_operations: of matrix products in the type in question.
        operations: float32, outside of matrix products.
    """

    bytes: float
    matrix_operations: float
    operations: float


def floors(work: Work, peaks: Peaks) -> dict[str, float]:
    """Return the least microseconds for each kind of work, and the largest of them as `floor`."""
    parts = {
        "bytes": work.bytes / peaks.bytes * 1e6,
        "matrix_operations": work.matrix_operations / peaks.matrix_operations * 1e6,
        "operations": work.operations / peaks.operations * 1e6,
    }
    return {**parts, "floor": max(parts.values())}


def gcm_attention(num: int, heads: int, height: int, width: int, dim: int, value_dim: int, number_bytes: int) -> Work:
    """Count attention over `num` regions of height x width cells; `number_bytes` is 2 or 4."""
    cells = height * width
    offsets = (2 * height - 1) + (2 * width - 1)
    numbers = num * heads * cells * (2 * dim + 2 * value_dim) + offsets * dim
    products = num * heads * cells * (cells * (dim + value_dim) + offsets * dim)
    # A logit takes two sums of relative terms, a scale, a comparison, a difference, a power and a sum.
    return Work(numbers * number_bytes, 2 * products, 7 * num * heads * cells * cells)


def gcm_attention_decomposed_bytes(
    num: int, heads: int, height: int, width: int, dim: int, value_dim: int, number_bytes: int
) -> int:
    """Count the bytes of the same attention as separate operations, where logits and weights cross memory.

    In float32 a logit is written as product and as relative term, read twice and written as their sum, read and written
    by the softmax and read by the last product: 8 times 4 bytes. In float16, with a softmax in float32, it is the same
    number. What leads to the relative terms is not counted.
    """
    fused = gcm_attention(num, heads, height, width, dim, value_dim, number_bytes)
    return fused.bytes + 32 * num * heads * (height * width) ** 2


def roi_footprint(box: Sequence[float], stride: int, size: tuple[int, int]) -> int:
    """Return how many cells of a (height, width) map the region `box` (xyxy, input pixels) can read at most."""

    def cells(low: float, high: float, limit: int) -> int:
        first = max(math.floor(low / stride - 0.5), 0)
        last = min(math.floor(high / stride - 0.5) + 1, limit - 1)
        return max(last - first + 1, 0)

    return cells(box[0], box[2], size[1]) * cells(box[1], box[3], size[0])


def multi_level_roi_align(
    boxes: Sequence[Sequence[float]],
    levels: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    strides: Sequence[int],
    channels: int,
    output_size: int,
    samples: int,
    number_bytes: int,
) -> Work:
    """Count the pooling of `boxes` from the maps of one image.

    Args:
        boxes: xyxy in input pixels.
        levels: which map each box is pooled from.
        sizes: (height, width) of each map.
        strides: input pixels a cell of each map.
        channels: of the maps.
        output_size: bins a side.
        samples: a bin and side; 0 takes as many as a bin has cells, as `sampling_ratio` 0 does.
        number_bytes: 2 or 4.
    """
    read = [0] * len(sizes)
    for box, level in zip(boxes, levels, strict=True):
        read[level] += roi_footprint(box, strides[level], sizes[level])
    # Regions overlap: no cell has to come from memory twice.
    cells = sum(min(own, height * width) for own, (height, width) in zip(read, sizes, strict=True))
    bins = len(boxes) * output_size**2
    numbers = channels * (cells + bins)
    taken = sum(
        _samples(box[2] - box[0], strides[level], output_size, samples)
        * _samples(box[3] - box[1], strides[level], output_size, samples)
        for box, level in zip(boxes, levels, strict=True)
    )
    return Work(numbers * number_bytes + 20 * len(boxes), 0, taken * output_size**2 * channels * 8)


def _samples(side: float, stride: int, output_size: int, samples: int) -> int:
    """Return the samples of a bin along a side of `side` input pixels."""
    return samples or max(math.ceil(side / stride / output_size), 0)


def nms(batch: int, num_boxes: int, kept: int, index_bytes: int, max_outputs: int) -> Work:
    """Count suppression where `kept` boxes an image remain: each box is compared with those that are kept before it."""
    comparisons = batch * (kept * (num_boxes - kept) + kept * (kept - 1) // 2)
    traffic = batch * num_boxes * 20 + num_boxes * index_bytes + batch * (max_outputs + 1) * index_bytes
    sort = batch * num_boxes * max(num_boxes - 1, 1).bit_length()
    return Work(traffic, 0, comparisons * 16 + sort)


def keypoint_decode(num: int, joints: int, size: int, samples_per_cell: int, number_bytes: int) -> Work:
    """Count the decoding of (num, joints, size, size) logits."""
    maps = num * joints
    # Separable bicubic interpolation: along rows first, then along columns, four products and sums each.
    samples = size * samples_per_cell * size + (size * samples_per_cell) ** 2
    # The softmax takes a difference, a power and a sum a cell.
    operations = maps * (samples * 8 + size**2 * 3)
    return Work(maps * (size**2 * number_bytes + 12) + num * 16, 0, operations)


def letterbox(frame: tuple[int, int], canvas: tuple[int, int], content: tuple[int, int]) -> Work:
    """Count the resizing of a (height, width) frame of 3 bytes a pixel into a canvas."""
    traffic = 3 * (frame[0] * frame[1] + canvas[0] * canvas[1])
    return Work(traffic, 0, 3 * content[0] * content[1] * 8)
