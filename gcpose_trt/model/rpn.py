"""Region proposal network over the pyramid (Ren et al., Faster R-CNN, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gcpose_trt.model.box_coder import Weights, decode_boxes
from gcpose_trt.model.boxes import clip_boxes
from gcpose_trt.model.config import RpnConfig
from gcpose_trt.model.fpn import conv3x3
from gcpose_trt.model.ops import nms

DELTA_WEIGHTS: Weights = (1.0, 1.0, 1.0, 1.0)
NO_BOX = -1e9  # the score of a slot that holds no box; below any logit


@dataclass
class RpnOutput:
    """Predictions for every anchor, one entry a level; A anchors a cell, the innermost dimension."""

    logits: list[Tensor]  # (B, H * W * A)
    deltas: list[Tensor]  # (B, H * W * A, 4)
    anchors: list[Tensor]  # (H * W * A, 4) xyxy input pixels


def cell_anchors(size: float, ratios: tuple[float, ...]) -> Tensor:
    """Return the anchors (A, 4) around the origin: area size**2, height / width = ratio."""
    ratio = torch.tensor(ratios, dtype=torch.float32)
    width = size / ratio.sqrt()
    half = torch.stack([width, width * ratio], 1) / 2
    return torch.cat([-half, half], 1)


def grid_anchors(cell: Tensor, height: int, width: int, stride: int) -> Tensor:
    """Return the anchors (height * width * A, 4), centred on pixels 0, stride, 2 * stride ... (no half-cell offset)."""
    x = torch.arange(width, device=cell.device, dtype=cell.dtype) * stride
    y = torch.arange(height, device=cell.device, dtype=cell.dtype) * stride
    columns = x[None, :].expand(height, width)
    rows = y[:, None].expand(height, width)
    shift = torch.stack([columns, rows, columns, rows], -1)
    return (shift[:, :, None] + cell).reshape(-1, 4)


class RegionProposalNetwork(nn.Module):
    """One head shared by all levels, and the choice of proposals."""

    def __init__(self, config: RpnConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        per_cell = len(config.aspect_ratios)
        self.conv = conv3x3(channels, config.separable)
        self.objectness = nn.Conv2d(channels, per_cell, 1)
        self.deltas = nn.Conv2d(channels, per_cell * 4, 1)
        for level, size in zip(config.levels, config.anchor_sizes, strict=True):
            self.register_buffer(f"anchors{level}", cell_anchors(size, config.aspect_ratios), persistent=False)

    def forward(self, features: Mapping[str, Tensor]) -> RpnOutput:
        out = RpnOutput([], [], [])
        for level in self.config.levels:
            hidden = F.relu(self.conv(features[f"p{level}"]))
            batch, _, height, width = hidden.shape
            out.logits.append(self.objectness(hidden).permute(0, 2, 3, 1).reshape(batch, -1).float())
            out.deltas.append(self.deltas(hidden).permute(0, 2, 3, 1).reshape(batch, -1, 4).float())
            out.anchors.append(grid_anchors(getattr(self, f"anchors{level}"), height, width, 2**level))
        return out

    def propose(
        self,
        output: RpnOutput,
        image_size: Tensor,
        extra: tuple[Tensor, Tensor] | None = None,
        *,
        pre_nms: int | None = None,
        post_nms: int | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Choose the proposals.

        Args:
            output: of `forward`.
            image_size: (B, 2) int64, height and width of the part of the input that is image.
            extra: boxes (B, M, 4) and logits (B, M) from elsewhere that compete with the anchors', as one more level.
            pre_nms: candidates a level; post_nms: proposals an image. Default: the configuration's.

        Returns:
            boxes (B, post_nms, 4) float32 input pixels, logits (B, post_nms) in falling order, count (B,) int64;
            slots past the count hold zeros.
        """
        keep = pre_nms or self.config.pre_nms
        boxes, scores, groups = [], [], []
        for index, (logits, deltas, anchors) in enumerate(
            zip(output.logits, output.deltas, output.anchors, strict=True)
        ):
            # Padding by `keep` empty candidates makes top-k legal on levels with fewer cells, with a fixed shape.
            score, place = F.pad(logits, (0, keep), value=NO_BOX).topk(keep)
            place = place.clamp(max=logits.shape[1] - 1)
            chosen = deltas.gather(1, place[..., None].expand(-1, -1, 4))
            boxes.append(decode_boxes(chosen, anchors[place], DELTA_WEIGHTS))
            scores.append(score)
            groups.append(torch.full((keep,), index, dtype=torch.int64, device=score.device))
        if extra is not None:
            boxes.append(extra[0])
            scores.append(extra[1])
            group = torch.full_like(extra[1][0], len(output.logits), dtype=torch.int64)
            groups.append(group)
        all_boxes = clip_boxes(torch.cat(boxes, 1), image_size)
        side = all_boxes[..., 2:] - all_boxes[..., :2]
        all_scores = torch.where((side > 0).all(-1), torch.cat(scores, 1), torch.full_like(side[..., 0], NO_BOX))
        chosen_index, count = nms(
            all_boxes,
            all_scores,
            torch.cat(groups),
            iou_threshold=self.config.nms_threshold,
            score_threshold=NO_BOX / 2,
            max_outputs=post_nms or self.config.post_nms,
        )
        logits = select(all_scores[..., None], chosen_index, count)[..., 0]
        return select(all_boxes, chosen_index, count), logits, count


def select(values: Tensor, index: Tensor, count: Tensor) -> Tensor:
    """Gather `values` (B, N, D) at `index` (B, K) and zero the slots past `count` (B,)."""
    chosen = values.gather(1, index[..., None].expand(-1, -1, values.shape[2]))
    slot = torch.arange(index.shape[1], device=index.device)
    return torch.where((slot < count[:, None])[..., None], chosen, torch.zeros_like(chosen))
