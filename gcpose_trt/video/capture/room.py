"""The room that drawn people walk in."""

from __future__ import annotations

import cv2
import numpy as np

from gcpose_trt.video.frames import Image


def make_room(width: int, height: int, random: np.random.Generator) -> Image:
    """Return the background: a wall with pictures on it, a floor, and the grain of a camera."""
    horizon = int(0.62 * height)
    rows = np.linspace(0, 1, height)[:, None, None]
    wall, floor = np.array((168, 182, 190.0)), np.array((88, 112, 135.0))
    room = np.where(np.arange(height)[:, None, None] < horizon, wall * (1.08 - 0.3 * rows), floor * (0.6 + 0.5 * rows))
    room = np.broadcast_to(room, (height, width, 3)).copy()
    unit = width / 640
    for _ in range(4):
        x, y = random.uniform(0, 0.85) * width, random.uniform(0.05, 0.3) * height
        across, down = random.uniform(40, 110) * unit, random.uniform(40, 90) * unit
        colour = tuple(float(part) for part in random.uniform(60, 210, 3))
        first, last = (int(x), int(y)), (int(x + across), int(y + down))
        cv2.rectangle(room, first, last, colour, -1)
        cv2.rectangle(room, first, last, (60, 70, 80), max(1, int(3 * unit)))
    for lane in np.linspace(-2, 3, 21):
        cv2.line(
            room, (int(width * (0.5 + (lane - 0.5) * 0.4)), horizon), (int(lane * width), height), (70, 92, 112), 1
        )
    cv2.line(room, (0, horizon), (width, horizon), (110, 120, 125), max(1, int(5 * unit)))
    small = random.normal(0, 6, (max(1, height // 8), max(1, width // 8), 3))
    room += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    room += random.normal(0, 3, room.shape)
    return np.clip(room, 0, 255).astype(np.uint8)
