"""Keypoint branch of `mobile`: the paper's head, plus what MoveNet's dense maps say about the person in the box.

logits = head + heat_weight * log(joint probability, pooled at 56x56) - place_weight * log(1 + distance^2 / spread^2)

where the distance is from the place that the dense regression gives the joint, read off around the box's centre. The
last term tells apart people who share a box. With an untrained head the sum is MoveNet's own decode inside the box.

MoveNet was trained on small inputs: it knows people of 100 to 200 pixels best and is lost with large ones. So the maps
are read from the image and from the image at half its size, and the person's size decides how much each counts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gcpose_trt.model.config import KeypointConfig
from gcpose_trt.model.keypoint_head import STRIDE, KeypointHead
from gcpose_trt.model.pose_prior import JOINTS, CoarseMaps, PriorMaps

# Channels of the stride-4 map: pyramid, then MoveNet's of the image, then those of the image at half its size.
MAPS_CHANNELS = JOINTS + 1 + 2 * JOINTS
PRIOR_CHANNELS = 2 * MAPS_CHANNELS
PROBABILITY_FLOOR = 3e-3


def pose_features(p2: Tensor, maps: PriorMaps, coarse: CoarseMaps) -> Tensor:
    """Return the map that the keypoint branch pools from, (B, C + 104, H/4, W/4)."""
    # Probabilities, not logits: outside the image pooling reads zeros, which must mean "no joint here".
    centre = torch.sigmoid(maps.centre)
    parts = [p2, maps.heat, centre, maps.regress, *coarse]
    # Float32 under autocast too: half a byte of mantissa would move regressed joints by a quarter of a cell.
    return torch.cat([part.float() for part in parts], 1)


class PriorKeypointHead(KeypointHead):
    """`KeypointHead` over `pose_features`, with the two prior terms added to its logits."""

    def __init__(self, config: KeypointConfig, channels: int) -> None:
        super().__init__(config, channels + PRIOR_CHANNELS)
        self.own_channels = channels
        self.heat_weight = nn.Parameter(torch.ones(config.joints))
        self.place_weight = nn.Parameter(torch.ones(config.joints))
        self.log_spread = nn.Parameter(torch.full((config.joints,), -1.6))  # of the root of the region's area
        self.centre_sharpness = nn.Parameter(torch.tensor(1.0))
        self.centre_pull = nn.Parameter(torch.tensor(3.9))  # natural log
        self.gate_size = nn.Parameter(torch.tensor(7.5))  # log2 pixels: people of 180 are read from both alike
        self.gate_slope = nn.Parameter(torch.tensor(3.0))
        # The sum starts as MoveNet's decode: the head's own share begins at almost nothing.
        nn.init.normal_(self.deconv.weight, std=1e-3)
        if self.deconv.bias is not None:
            nn.init.zeros_(self.deconv.bias)

    def forward(self, features: Tensor, regions: Tensor, batch_index: Tensor) -> Tensor:
        features = self.border(features)
        pooled = self.pool(features, regions, batch_index, self.config.pool_size)
        head = self.logits(pooled)
        # Position is precious here: float32 whatever autocast says.
        with torch.autocast(features.device.type, enabled=False):
            gate = self.coarse_share(regions)
            log_heat, places = [], []
            ratio = self.config.heat_sampling_ratio
            for first in (self.own_channels, self.own_channels + MAPS_CHANNELS):
                end = first + JOINTS
                heat = self.pool(features[:, first:end].float(), regions, batch_index, head.shape[-1], ratio)
                log_heat.append(torch.log(heat + PROBABILITY_FLOOR))
                places.append(self.regressed_places(pooled[:, end : first + MAPS_CHANNELS].float(), regions))
            prior = torch.lerp(log_heat[0], log_heat[1], gate[:, None, None, None])
            place = torch.lerp(places[0], places[1], gate[:, None, None])
            prior = self.heat_weight[:, None, None] * prior
            return head + prior - self.place_cost(place, regions, head.shape[-1])

    def coarse_share(self, regions: Tensor) -> Tensor:
        """Return how much the half-size image counts, (N,) in 0..1, for people in the enlarged boxes `regions`."""
        side = (regions[:, 2:] - regions[:, :2]).clamp(min=1).prod(1).sqrt() / self.config.box_factor
        return torch.sigmoid(self.gate_slope * (torch.log2(side) - self.gate_size))

    def regressed_places(self, pooled: Tensor, regions: Tensor) -> Tensor:
        """Return where the dense regression puts each joint, (N, 17, 2) x, y in units of the region (0..1 inside).

        The regression is averaged over the cells that are likely to be this person's centre: high on the centre map and
        near the middle of the box.

        Args:
            pooled: (N, 1 + 34, S, S) centre probability and regression, pooled from the regions.
            regions: (N, 4) enlarged boxes.
        """
        size = pooled.shape[-1]
        middle = (torch.arange(size, device=regions.device, dtype=torch.float32) + 0.5) / size
        away = (middle - 0.5) ** 2
        distance = away[:, None] + away[None, :]
        score = self.centre_sharpness * torch.log(pooled[:, 0] + PROBABILITY_FLOOR)
        score = score - self.centre_pull.exp() * distance
        weight = torch.softmax(score.flatten(1), 1).unflatten(1, (size, size))[:, None]
        side = (regions[:, 2:] - regions[:, :2]).clamp(min=1)  # (N, 2) width, height
        # MoveNet counts from the cell's corner, pooling reads at its centre: half a cell between them.
        shift_y = ((pooled[:, 1::2] * weight).sum((2, 3)) - 0.5) * STRIDE / side[:, 1:]
        shift_x = ((pooled[:, 2::2] * weight).sum((2, 3)) - 0.5) * STRIDE / side[:, :1]
        centre_x = (weight[:, 0].sum(1) * middle).sum(1, keepdim=True)
        centre_y = (weight[:, 0].sum(2) * middle).sum(1, keepdim=True)
        return torch.stack([centre_x + shift_x, centre_y + shift_y], 2)

    def place_cost(self, places: Tensor, regions: Tensor, size: int) -> Tensor:
        """Return the cost (N, 17, size, size) of lying away from `places` (N, 17, 2): zero there, heavy-tailed."""
        side = (regions[:, 2:] - regions[:, :2]).clamp(min=1)
        unit = side / side.prod(1, keepdim=True).sqrt()  # so that distances are isotropic in pixels
        cell = (torch.arange(size, device=places.device, dtype=torch.float32) + 0.5) / size
        dx = (cell[None, None] - places[..., :1]) * unit[:, None, :1]
        dy = (cell[None, None] - places[..., 1:]) * unit[:, None, 1:]
        squared = dx[:, :, None] ** 2 + dy[:, :, :, None] ** 2
        spread = self.log_spread.exp()[:, None, None] ** 2
        return self.place_weight[:, None, None] * torch.log1p(squared / spread)
