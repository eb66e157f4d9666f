"""People where there are none: boxes for measuring the pose network on a given number of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def crowd(count: int, height: int, width: int) -> NDArray[np.float32]:
    """Return `count` upright boxes (count, 4), xyxy, of assorted sizes inside (height, width).

    The same ones every time, and what the network does for a box does not depend on who is in it.
    """
    random = np.random.default_rng(0)
    tall = random.uniform(0.2, 0.8, count) * height
    wide = np.minimum(0.45 * tall, 0.9 * width)
    left, top = random.uniform(0, 1, count) * (width - wide), random.uniform(0, 1, count) * (height - tall)
    return np.stack([left, top, left + wide, top + tall], 1).astype(np.float32)
