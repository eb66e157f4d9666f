"""From keypoint logits to the places where they expect the highest object keypoint similarity.

COCO scores a joint by exp(-d^2 / (2 s^2 k^2)): d is the distance to the truth, s^2 the person's area, k a constant of
the joint (Lin et al., COCO keypoint evaluation). If a map gives each cell the probability that the joint lies there,
then the similarity that a guess will get is expected to be the map blurred by that very kernel. The joint is put where
the blurred map is highest, and the value there is its score: a number between 0 and 1 that means the same for every
joint. The largest cell of the map itself, which is the usual choice, is best only if nothing but a perfect hit counts;
where a map is broad or has two humps of unlike width, the two differ.

The kernel is a product of a row part and a column part, so blurring is two small matrix products for all joints at
once. A parabola through the logarithms of the best cell and its neighbours, exact for a Gaussian, gives the place
inside it. All probability lies in the middles of cells, so beyond the middle of the first or last one the similarity
only falls: no place lies there.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_FLOOR = 1e-20  # of a blurred map before its logarithm
_FLATTEST = 1e-6  # curvature below which a parabola has no peak


def _kernel(spread: Tensor, side: Tensor, size: int) -> Tensor:
    """Return exp(-d^2 / 2 spread^2) between all cells of an axis, (N, K, S, S); `spread` (N, K), `side` (N,) pixels."""
    cell = (torch.arange(size, device=spread.device, dtype=torch.float32) + 0.5) / size
    squared = (cell[:, None] - cell[None, :]) ** 2
    precision = 0.5 * (side[:, None] / spread) ** 2
    return torch.exp(-squared * precision[..., None, None])


def _peak(logs: Tensor, index: Tensor) -> Tensor:
    """Return where a parabola is highest, in cells from the first one's outer edge, no further than half a cell away.

    Args:
        logs: (..., S) along one axis, S at least 3.
        index: (...) the largest of them.
    """
    # At an end the parabola goes through the three cells next to it.
    last = logs.shape[-1] - 1
    middle = index.clamp(1, last - 1)
    low, centre, high = (logs.gather(-1, (middle + step)[..., None])[..., 0] for step in (-1, 0, 1))
    curvature = (2 * centre - low - high).clamp(min=_FLATTEST)
    place = middle + 0.5 * (high - low) / curvature
    return torch.clamp(place, (index - 0.5).clamp(min=0), (index + 0.5).clamp(max=last)) + 0.5


def oks_decode(logits: Tensor, boxes: Tensor, *, spread: Sequence[float]) -> Tensor:
    """Find each joint's place and score.

    Args:
        logits: (N, K, S, S) float, S at least 3.
        boxes: (N, 4) float32 xyxy, the enlarged boxes that the maps cover.
        spread: for each joint, the deviation of the similarity's kernel in parts of the root of such a box's area.

    Returns:
        (N, K, 3) float32: x, y in the pixels of the boxes, and the similarity expected in the middle of the cell, 0..1.
    """
    n, joints = logits.shape[:2]
    if torch.onnx.is_in_onnx_export():
        return torch.onnx.ops.symbolic(
            "gcpose::OksDecode",
            [logits, boxes],
            {"spread": [float(value) for value in spread]},
            dtype=torch.float32,
            shape=[n, joints, 3],
            version=1,
        )
    if n == 0:
        return logits.new_zeros(0, joints, 3, dtype=torch.float32)
    # Half a byte of mantissa is a step of a pixel and more: float32 whatever autocast says.
    with torch.autocast(logits.device.type, enabled=False):
        return _decode(logits.float(), boxes.float(), spread)


def _decode(logits: Tensor, boxes: Tensor, spread: Sequence[float]) -> Tensor:
    size = logits.shape[-1]
    side = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
    deviation = torch.tensor(spread, device=logits.device) * side.prod(1, keepdim=True).sqrt()
    probability = torch.softmax(logits.flatten(2), 2).unflatten(2, (size, size))
    columns, rows = (_kernel(deviation, side[:, axis], size) for axis in (0, 1))
    expected = rows @ (probability @ columns)  # kernels are symmetric

    score, place = expected.flatten(2).max(2)
    row = torch.div(place, size, rounding_mode="floor")
    column = place - row * size
    logs = torch.log(expected + _FLOOR)
    best_row = logs.gather(2, row[..., None, None].expand(-1, -1, 1, size))[:, :, 0]
    best_column = logs.gather(3, column[..., None, None].expand(-1, -1, size, 1))[..., 0]
    x = boxes[:, :1] + _peak(best_row, column) * (side[:, :1] / size)
    y = boxes[:, 1:2] + _peak(best_column, row) * (side[:, 1:] / size)
    return torch.stack([x, y, score], 2)
