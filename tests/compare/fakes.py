"""A side whose answers are given, and a frame for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gcpose_trt.compare.side import Detected, Posed
from gcpose_trt.runtime.info import ModelInfo
from tests.support.bundles import TEMPLATE, metadata

BOXES = np.array([[2, 4, 30, 60], [40, 8, 62, 58]], np.float32)
FRAME = np.full((64, 64, 3), 90, np.uint8)


@dataclass
class FakeSide:
    """Finds two people; joints lie at fixed places of the box, moved by the mean of P2."""

    label: str = "fake"
    p2_offset: float = 0.0
    box_offset: float = 0.0
    joint_offset: float = 0.0
    scores: tuple[float, ...] = (0.9, 0.6)
    boxes: Any = field(default_factory=lambda: BOXES.copy())
    proposals: bool = True
    logits: bool = True
    batch_limit: int | None = None
    size: list[int] | None = None
    channels: int = 3
    absent: Mapping[str, str] = field(default_factory=dict)
    closed: bool = False
    batches: list[int] = field(default_factory=list)

    @property
    def info(self) -> ModelInfo:
        return ModelInfo.from_dict(metadata("detector", size=self.size), self.label)

    def detect(self, image: Any, image_size: Any) -> Detected:
        batch, height, width, _ = image.shape
        self.batches.append(batch)
        p2 = np.full((batch, self.channels, height // 4, width // 4), 1 + self.p2_offset, np.float32)
        boxes = np.repeat((self.boxes + self.box_offset)[None], batch, 0).astype(np.float32)
        count = np.full(batch, len(self.boxes))
        return Detected(
            p2=p2,
            boxes=boxes,
            scores=np.repeat(np.array(self.scores[: len(self.boxes)], np.float32)[None], batch, 0),
            count=count,
            maps={"pyramid p3": p2[..., ::2, ::2]} if self.proposals else {},
            proposals=boxes + 1 if self.proposals else None,
            proposal_count=count if self.proposals else None,
        )

    def refine(self, found: Detected, image_size: Any) -> tuple[Any, Any] | None:
        if not self.proposals or found.proposals is None:
            return None
        return found.proposals - 1 + self.box_offset, np.full(found.proposals.shape[:2], 0.8, np.float32)

    def pose(self, p2: Any, boxes: Any, batch_index: Any) -> Posed:
        corner, side = boxes[:, None, :2], boxes[:, None, 2:] - boxes[:, None, :2]
        places = (
            corner + side * TEMPLATE + self.joint_offset + 10 * (p2[batch_index].mean((1, 2, 3)) - 1)[:, None, None]
        )
        keypoints = np.concatenate([places, np.full((len(boxes), 17, 1), 0.7, np.float32)], 2).astype(np.float32)
        logits = np.full((len(boxes), 17, 4, 4), 2 + self.joint_offset, np.float32)
        return Posed(keypoints, logits if self.logits else None)

    def close(self) -> None:
        self.closed = True
