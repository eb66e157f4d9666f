"""GCPose R-CNN: one network that finds the people and their keypoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gcpose_trt.model.box_head import BoxHead
from gcpose_trt.model.config import ModelConfig
from gcpose_trt.model.fpn import FeaturePyramid
from gcpose_trt.model.keypoint_head import KeypointHead
from gcpose_trt.model.mobilenet import MobileNetV2
from gcpose_trt.model.ops import keypoint_decode, oks_decode
from gcpose_trt.model.pose_prior import HIDDEN, JOINTS, STRIDE, PosePrior, centre_proposals, crop, halve, to_fine
from gcpose_trt.model.prior_head import PriorKeypointHead, pose_features
from gcpose_trt.model.resnet import WIDTHS, ResNet
from gcpose_trt.model.rpn import RegionProposalNetwork, RpnOutput

# Candidates from MoveNet's centres, of the image and of the image at half its size.
CENTRE_PROPOSALS = 30
HALF_PROPOSALS = 15


def _by_channel(values: tuple[float, float, float]) -> Tensor:
    """Return numbers for (3, H, W): one if all are alike, which ONNX Runtime applies ten times as fast as three."""
    return torch.tensor(sorted(set(values)) if len(set(values)) == 1 else values)[:, None, None]


@dataclass(frozen=True)
class Detections:
    """The people of a batch, and the map that the keypoint branch pools from."""

    p2: Tensor  # (B, C, H/4, W/4) float32
    boxes: Tensor  # (B, K, 4) float32 xyxy input pixels
    scores: Tensor  # (B, K) float32, falling
    count: Tensor  # (B,) int64; boxes and scores are zero past it


class Features(dict[str, Tensor]):
    """Pyramid maps "p2" .. "p6" and "pose", what the keypoint branch pools from.

    With a pose prior also "box_prior", "extra_boxes" and "extra_logits".
    """

    @property
    def extra(self) -> tuple[Tensor, Tensor] | None:
        """Boxes (B, M, 4) and logits (B, M) that join the proposals, if the model has a pose prior."""
        return (self["extra_boxes"], self["extra_logits"]) if "extra_boxes" in self else None


class GCPoseRCNN(nn.Module):
    """The network of `config` (Li et al., Towards High Performance One-Stage Human Pose Estimation)."""

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("pixel_mean", _by_channel(config.pixel_mean), persistent=False)
        self.register_buffer("pixel_std", _by_channel(config.pixel_std), persistent=False)
        self.backbone: nn.Module
        if config.backbone == "mobilenet_v2":
            self.backbone = MobileNetV2()
            self.prior = PosePrior()
            self.neck = FeaturePyramid(
                {2: 40 + 24 + HIDDEN, 3: 48 + 24, 4: 144 + 32, 5: 480}, config.channels, separable=True
            )
            self.keypoint_head: KeypointHead = PriorKeypointHead(config.keypoint, config.channels)
        else:
            self.backbone = ResNet(config.backbone)
            self.neck = FeaturePyramid({int(name[1]): width for name, width in WIDTHS.items()}, config.channels)
            self.keypoint_head = KeypointHead(config.keypoint, config.channels)
        self.rpn = RegionProposalNetwork(config.rpn, config.channels)
        self.box_head = BoxHead(config.box, config.channels, 2 * (JOINTS + 1) if config.pose_prior else 0)

    def normalize(self, image: Tensor, image_size: Tensor) -> Tensor:
        """Turn a letterboxed batch (B, H, W, 3) uint8 BGR into float (B, 3, H, W), zero outside `image_size` (B, 2)."""
        x = (image.permute(0, 3, 1, 2).float() - self.pixel_mean) / self.pixel_std
        row = torch.arange(x.shape[2], device=x.device)
        column = torch.arange(x.shape[3], device=x.device)
        inside = (row < image_size[:, :1])[:, None, :, None] & (column < image_size[:, 1:])[:, None, None, :]
        return torch.where(inside, x, torch.zeros_like(x))

    def features(self, x: Tensor) -> Features:
        """Run backbone and neck on a normalised batch (B, 3, H, W)."""
        c = self.backbone(x)
        if not self.config.pose_prior:
            out = Features(self.neck({int(name[1]): c[name] for name in WIDTHS}))
            out["pose"] = out["p2"]
            return out
        maps = self.prior(c)
        levels = {
            2: torch.cat([c["c2"], maps.m2, maps.hidden], 1),
            3: torch.cat([c["c3"], maps.m3], 1),
            4: torch.cat([c["c4"], maps.m4], 1),
            5: c["c5"],
        }
        out = Features(self.neck(levels))
        rows, columns = maps.heat.shape[-2:]
        half = crop(self.prior(self.backbone(halve(x))), rows // 2, columns // 2)
        out["pose"] = pose_features(out["p2"], maps, to_fine(half))
        # Halved: RoIAlign averages whole bins anyway, and samples a large proposal four times less often (AP the same).
        fine = F.avg_pool2d(torch.cat([maps.heat, torch.sigmoid(maps.centre)], 1), 2)
        out["box_prior"] = torch.cat([fine, half.heat, torch.sigmoid(half.centre)], 1)
        proposals = centre_proposals(maps, CENTRE_PROPOSALS), centre_proposals(half, HALF_PROPOSALS, 2 * STRIDE)
        out["extra_boxes"], out["extra_logits"] = (torch.cat(parts, 1) for parts in zip(*proposals, strict=True))
        return out

    def propose(self, output: RpnOutput, features: Features, image_size: Tensor, **limits: int) -> tuple[Tensor, ...]:
        """Choose proposals; see `RegionProposalNetwork.propose`."""
        return self.rpn.propose(output, image_size, features.extra, **limits)

    def detect(self, image: Tensor, image_size: Tensor) -> Detections:
        """Find the people.

        Args:
            image: (B, H, W, 3) uint8 BGR, frames placed at the top left, sides multiples of 32.
            image_size: (B, 2) int64, height and width of the frame inside; the rest is blanked.
        """
        features = self.features(self.normalize(image, image_size))
        proposals, _, count = self.propose(self.rpn(features), features, image_size)
        boxes, scores, found = self.box_head.detect(features, proposals, count, image_size)
        return Detections(features["pose"], boxes, scores, found)

    def keypoint_logits(self, p2: Tensor, boxes: Tensor, batch_index: Tensor) -> Tensor:
        """Return the logits (N, 17, 56, 56) over the enlarged boxes of `boxes` (N, 4)."""
        logits: Tensor = self.keypoint_head(p2, self.enlarge(boxes), batch_index)
        return logits

    def enlarge(self, boxes: Tensor) -> Tensor:
        """Return the boxes (N, 4) that the keypoint branch sees."""
        return self.keypoint_head.enlarge(boxes)

    def pose(self, p2: Tensor, boxes: Tensor, batch_index: Tensor) -> Tensor:
        """Return keypoints (N, 17, 3): x, y in input pixels and the score.

        Args:
            p2: of `detect`.
            boxes: (N, 4) float32 people's boxes, not enlarged.
            batch_index: (N,) int64, row of p2.
        """
        return self.decode(self.keypoint_logits(p2, boxes, batch_index), boxes)

    def decode(self, logits: Tensor, boxes: Tensor) -> Tensor:
        """Return keypoints (N, 17, 3) of the logits over the enlarged boxes of `boxes` (N, 4)."""
        config = self.config.keypoint
        if config.decode == "oks":
            return oks_decode(logits, self.enlarge(boxes), spread=config.spread)
        return keypoint_decode(
            logits,
            self.enlarge(boxes),
            samples_per_cell=config.samples_per_cell,
            score_radius=config.score_radius,
        )

    def forward(self, image: Tensor, image_size: Tensor) -> tuple[Detections, Tensor]:
        """Return the people of the batch and their keypoints (sum of counts, 17, 3), image after image."""
        found = self.detect(image, image_size)
        slot = torch.arange(found.boxes.shape[1], device=image.device)
        batch_index, person = torch.nonzero(slot < found.count[:, None], as_tuple=True)
        return found, self.pose(found.p2, found.boxes[batch_index, person], batch_index)

    def metadata(self) -> Mapping[str, Any]:
        """Return what a runtime must know beside the weights: the metadata keys that depend on the model."""
        config = self.config
        return {
            "model": config.name,
            "resize": asdict(config.resize),
            "divisor": config.divisor,
            "max_people": config.box.max_people,
            "keypoints": config.keypoint.joints,
            "min_score": config.min_score,
            "keypoint_threshold": config.keypoint_threshold,
            "rank": config.rank,
        }
