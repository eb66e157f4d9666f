"""Keypoint branch: enlarged boxes pooled from stride 4 only, global context, 56x56 logits a joint.

Li et al., Towards High Performance One-Stage Human Pose Estimation, section 3.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from gcpose_trt.model.boxes import enlarge_boxes
from gcpose_trt.model.config import KeypointConfig
from gcpose_trt.model.gcm import GlobalContextModule
from gcpose_trt.model.ops import multi_level_roi_align

STRIDE = 4


class KeypointHead(nn.Module):
    """Stride-4 map (B, C, H, W) and enlarged boxes (N, 4) to logits (N, joints, 56, 56)."""

    def __init__(self, config: KeypointConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        self.reduce = nn.Conv2d(channels, width, 1)
        stages: list[nn.Module] = []
        for _ in range(2):
            if config.gcm:
                stages.append(GlobalContextModule(width, config.heads, config.pool_size))
            for _ in range(config.convs):
                stages += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
        self.stages = nn.Sequential(*stages)
        self.deconv = nn.ConvTranspose2d(width, config.joints, 4, 2, 1)

    def enlarge(self, boxes: Tensor) -> Tensor:
        """Return the boxes (N, 4) that this branch looks at."""
        return enlarge_boxes(boxes, self.config.box_factor)

    def pool(self, features: Tensor, regions: Tensor, batch_index: Tensor, size: int) -> Tensor:
        """Pool enlarged boxes (N, 4) from the stride-4 map; what lies outside the image reads zeros."""
        # RoIAlign alone repeats the border for one more cell; one row of zeros all around makes it fade to zero there.
        features = F.pad(features, (1, 1, 1, 1))
        return multi_level_roi_align([features], regions + STRIDE, batch_index, output_size=size, strides=[STRIDE])

    def logits(self, pooled: Tensor) -> Tensor:
        """Return the logits (N, joints, 56, 56) of pooled features (N, C, 14, 14)."""
        x = self.deconv(self.stages(F.relu(self.reduce(pooled))))
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False).float()

    def forward(self, features: Tensor, regions: Tensor, batch_index: Tensor) -> Tensor:
        return self.logits(self.pool(features, regions, batch_index, self.config.pool_size))
