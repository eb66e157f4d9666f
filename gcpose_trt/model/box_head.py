"""Box branch: is this proposal a person, and where exactly (Girshick, Fast R-CNN; class-agnostic boxes)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gcpose_trt.model.box_coder import Weights, decode_boxes
from gcpose_trt.model.boxes import clip_boxes
from gcpose_trt.model.config import BoxConfig
from gcpose_trt.model.ops import multi_level_roi_align, nms
from gcpose_trt.model.rpn import select

DELTA_WEIGHTS: Weights = (10.0, 10.0, 5.0, 5.0)
LEVELS = (2, 3, 4, 5)
PRIOR_STRIDE = 8  # of features["box_prior"]
PERSON = 0  # class 0 is a person, class 1 the background, as in detectron2


class BoxHead(nn.Module):
    """Pools proposals from P2..P5, two fully connected layers, class scores and box deltas.

    Args:
        config: sizes and thresholds.
        channels: of the pyramid.
        prior_channels: of the map `features["box_prior"]` that is pooled beside the pyramid; 0 for none.
    """

    def __init__(self, config: BoxConfig, channels: int, prior_channels: int = 0) -> None:
        super().__init__()
        self.config = config
        self.prior_channels = prior_channels
        self.fc1 = nn.Linear((channels + prior_channels) * config.pool_size**2, config.hidden)
        self.fc2 = nn.Linear(config.hidden, config.hidden)
        self.classes = nn.Linear(config.hidden, 2)
        self.deltas = nn.Linear(config.hidden, 4)

    def pool(self, features: Mapping[str, Tensor], rois: Tensor, batch_index: Tensor) -> Tensor:
        """Return the pooled features (N, C, 7, 7)."""
        size = self.config.pool_size
        levels = [features[f"p{level}"] for level in LEVELS]
        strides = [2**level for level in LEVELS]
        pooled = multi_level_roi_align(levels, rois, batch_index, output_size=size, strides=strides)
        if self.prior_channels:
            prior = [features["box_prior"]]
            beside = multi_level_roi_align(prior, rois, batch_index, output_size=size, strides=[PRIOR_STRIDE])
            pooled = torch.cat([pooled, beside], 1)
        return pooled

    def forward(self, features: Mapping[str, Tensor], rois: Tensor, batch_index: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits (N, 2) and deltas (N, 4) for `rois` (N, 4) of images `batch_index` (N,)."""
        x = self.pool(features, rois, batch_index).flatten(1)
        x = F.relu(self.fc2(F.relu(self.fc1(x))))
        return self.classes(x).float(), self.deltas(x).float()

    def detect(
        self, features: Mapping[str, Tensor], proposals: Tensor, count: Tensor, image_size: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Score and refine proposals.

        Args:
            features: of the network.
            proposals: (B, P, 4); count: (B,) int64, how many are in use.
            image_size: (B, 2) int64.

        Returns:
            boxes (B, K, 4) float32, scores (B, K) in falling order, count (B,) int64; zeros past the count.
        """
        boxes, score = self.score(features, proposals, count, image_size)
        index, found = nms(
            boxes,
            score,
            torch.zeros(score.shape[1], dtype=torch.int64, device=score.device),
            iou_threshold=self.config.nms_threshold,
            score_threshold=self.config.score_threshold,
            max_outputs=self.config.max_people,
        )
        return select(boxes, index, found), select(score[..., None], index, found)[..., 0], found

    def score(
        self, features: Mapping[str, Tensor], proposals: Tensor, count: Tensor, image_size: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return boxes (B, P, 4) and scores (B, P) of all proposals in their order; arguments as `detect`."""
        batch, per_image, _ = proposals.shape
        image = torch.arange(batch, device=proposals.device)[:, None].expand(batch, per_image).reshape(-1)
        logits, deltas = self(features, proposals.reshape(-1, 4), image)
        score = torch.softmax(logits, -1)[:, PERSON].reshape(batch, per_image)
        boxes = decode_boxes(deltas, proposals.reshape(-1, 4), DELTA_WEIGHTS).reshape(batch, per_image, 4)
        boxes = clip_boxes(boxes, image_size)
        slot = torch.arange(per_image, device=proposals.device)
        return boxes, torch.where(slot < count[:, None], score, torch.zeros_like(score))
