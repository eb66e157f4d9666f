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

    def border(self, features: Tensor) -> Tensor:
        """Put one row of zeros all around the stride-4 map, so that pooling fades to zero outside the image.

        RoIAlign alone repeats the last row for one more cell.
        """
        return F.pad(features, (1, 1, 1, 1))

    def pool(
        self, bordered: Tensor, regions: Tensor, batch_index: Tensor, size: int, sampling_ratio: int | None = None
    ) -> Tensor:
        """Pool enlarged boxes (N, 4) from a map with its border; what lies outside the image reads zeros."""
        return multi_level_roi_align(
            [bordered],
            regions + STRIDE,
            batch_index,
            output_size=size,
            strides=[STRIDE],
            sampling_ratio=self.config.sampling_ratio if sampling_ratio is None else sampling_ratio,
        )

    def logits(self, pooled: Tensor) -> Tensor:
        """Return the logits (N, joints, 56, 56) of pooled features (N, C, 14, 14)."""
        x = self.deconv(self.stages(F.relu(self.reduce(pooled))))
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False).float()

    def forward(self, features: Tensor, regions: Tensor, batch_index: Tensor) -> Tensor:
        return self.logits(self.pool(self.border(features), regions, batch_index, self.config.pool_size))
