"""People where there are none: boxes for measuring the pose network on a given number of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def crowd(count: int, height: int, width: int) -> NDArray[np.float32]:
    """Return `count` upright boxes (count, 4), xyxy, of assorted sizes inside (height, width).

    The same ones every time, and a larger crowd is a smaller one with more people behind it, so that two counts differ
    by those people only.
    """
    numbers = np.random.default_rng(0).uniform(0, 1, (count, 3))
    tall = (0.2 + 0.6 * numbers[:, 0]) * height
    wide = np.minimum(0.45 * tall, 0.9 * width)
    left, top = numbers[:, 1] * (width - wide), numbers[:, 2] * (height - tall)
    return np.stack([left, top, left + wide, top + tall], 1).astype(np.float32)
