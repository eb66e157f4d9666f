"""From batches to losses: the network and its three branches, each with its targets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gcpose_trt.model import GCPoseRCNN
from gcpose_trt.model.box_coder import encode_boxes
from gcpose_trt.model.box_head import DELTA_WEIGHTS as BOX_WEIGHTS
from gcpose_trt.model.network import Features
from gcpose_trt.model.rpn import DELTA_WEIGHTS as RPN_WEIGHTS
from gcpose_trt.model.rpn import RpnOutput
from gcpose_trt.training import losses, targets
from gcpose_trt.training.config import TrainConfig
from gcpose_trt.training.loading import Batch


@dataclass
class TensorBatch:
    """A `Batch` on the training device."""

    images: Tensor  # (B, H, W, 3) uint8
    image_size: Tensor  # (B, 2) int64
    boxes: list[Tensor]
    keypoints: list[Tensor]
    ignore: list[Tensor]

    @classmethod
    def from_numpy(cls, batch: Batch, device: torch.device) -> TensorBatch:
        """Copy `batch` to `device`."""
        arrays = [
            [torch.from_numpy(array).to(device) for array in group]
            for group in (batch.boxes, batch.keypoints, batch.ignore)
        ]
        images = torch.from_numpy(batch.images).to(device, non_blocking=True)
        return cls(images, torch.from_numpy(batch.image_size).to(device), *arrays)


@dataclass
class Regions:
    """Boxes of one or several images with the labels of the person each belongs to."""

    boxes: Tensor  # (N, 4)
    batch_index: Tensor  # (N,) int64
    keypoints: Tensor  # (N, 17, 3)


class PoseObjective(nn.Module):
    """The network with its losses; what DistributedDataParallel wraps.

    Args:
        model: the network.
        config: the recipe.
    """

    def __init__(self, model: GCPoseRCNN, config: TrainConfig) -> None:
        super().__init__()
        self.model = model
        self.config = config

    def forward(self, batches: Sequence[Batch], generator: torch.Generator) -> dict[str, Tensor]:
        """Return the weighted terms of the loss, scalars by name.

        Args:
            batches: one for each data set of the recipe.
            generator: where the sampling of anchors and regions takes its randomness from, on the network's device.
        """
        sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=generator.device))
        joints = torch.zeros((), device=generator.device)
        for batch in batches:
            dataset = self.config.datasets[batch.dataset]
            data = TensorBatch.from_numpy(batch, generator.device)
            terms, counted = self._dataset_losses(data, dataset.detection, generator)
            joints = joints + counted
            for name, value in terms.items():
                sums[name] = sums[name] + dataset.weight * value
        sums["keypoint"] = sums["keypoint"] / joints.clamp(min=1)
        weights = self.config.loss
        return {name: getattr(weights, name) * value for name, value in sums.items()}

    def _dataset_losses(
        self, data: TensorBatch, detection: bool, generator: torch.Generator
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the losses of one batch, the keypoint one still a sum, and what that sum is to be divided by."""
        x = self.model.normalize(data.images, data.image_size)
        if self.config.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        features = self.model.features(x)
        terms: dict[str, Tensor] = {}
        foreground: list[Regions] = []
        if detection:
            output = self.model.rpn(features)
            terms["rpn_class"], terms["rpn_box"] = self._rpn_losses(output, data, generator)
            terms["box_class"], terms["box_regression"], regions = self._box_losses(output, features, data, generator)
            if self.config.keypoint.proposals:
                foreground.append(regions)
        if self.config.loss.keypoint == 0:
            return terms, torch.zeros((), device=generator.device)
        if self.config.keypoint.roi_jitter > 0 or not foreground:
            foreground.append(self._jittered_people(data, generator))
        terms["keypoint"], joints = self._keypoint_loss(features, _join(foreground), len(data.images), generator)
        return terms, joints

    def _rpn_losses(self, output: RpnOutput, data: TensorBatch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        config = self.config.rpn
        logits, deltas, anchors = torch.cat(output.logits, 1), torch.cat(output.deltas, 1), torch.cat(output.anchors)
        class_terms, box_terms = [], []
        for b, (boxes, ignore) in enumerate(zip(data.boxes, data.ignore, strict=True)):
            labels, matched = targets.match_anchors(anchors, boxes, ignore, config)
            positive, negative = targets.sample_anchors(labels, config, generator)
            chosen = torch.cat([positive, negative])
            class_terms.append(losses.objectness_loss(logits[b, chosen], labels[chosen]))
            wanted = encode_boxes(boxes[matched[positive]], anchors[positive], RPN_WEIGHTS)
            box_terms.append(losses.smooth_l1(deltas[b, positive], wanted, 0.0))
        normaliser = config.samples * len(data.images)
        return torch.stack(class_terms).sum() / normaliser, torch.stack(box_terms).sum() / normaliser

    @torch.no_grad()
    def _sample_regions(
        self, output: RpnOutput, features: Features, data: TensorBatch, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return regions (N, 4), their images (N,) and the index of the matched person (N,), -1 for background."""
        limits = {"pre_nms": self.config.rpn.pre_nms, "post_nms": self.config.rpn.post_nms}
        proposals, _, count = self.model.propose(output, features, data.image_size, **limits)
        regions, images, people = [], [], []
        for b, (boxes, ignore) in enumerate(zip(data.boxes, data.ignore, strict=True)):
            found = proposals[b, : int(count[b])]
            region, person = targets.sample_regions(found, boxes, ignore, self.config.box, generator)
            regions.append(region)
            people.append(person)
            images.append(torch.full_like(person, b))
        return torch.cat(regions), torch.cat(images), torch.cat(people)

    def _box_losses(
        self, output: RpnOutput, features: Features, data: TensorBatch, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Regions]:
        """Return class and regression loss, and the foreground regions, for the keypoint branch."""
        regions, images, people = self._sample_regions(output, features, data, generator)
        logits, deltas = self.model.box_head(features, regions, images)
        positive = torch.nonzero(people >= 0).flatten()
        # Rows of the people of all images laid end to end.
        first = torch.tensor([0] + [len(boxes) for boxes in data.boxes[:-1]], device=regions.device).cumsum(0)
        person = first[images[positive]] + people[positive]
        wanted = encode_boxes(torch.cat(data.boxes)[person], regions[positive], BOX_WEIGHTS)
        normaliser = max(len(regions), 1)
        class_term = losses.class_loss(logits, people < 0) / normaliser
        box_term = losses.smooth_l1(deltas[positive], wanted, self.config.box.beta) / normaliser
        foreground = Regions(regions[positive], images[positive], torch.cat(data.keypoints)[person])
        return class_term, box_term, foreground

    def _jittered_people(self, data: TensorBatch, generator: torch.Generator) -> Regions:
        config = self.config.keypoint
        copies = config.jitter_copies
        counts = torch.tensor([len(boxes) for boxes in data.boxes])
        images = torch.arange(len(counts)).repeat_interleave(counts).to(generator.device)
        boxes = torch.cat(data.boxes).repeat(copies, 1)
        boxes = targets.jitter_boxes(boxes, config.roi_jitter, generator)
        return Regions(boxes, images.repeat(copies), torch.cat(data.keypoints).repeat(copies, 1, 1))

    def _keypoint_loss(
        self, features: Features, regions: Regions, images: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the summed loss of the regions that show a labelled joint, and its divisor."""
        config, size = self.config.keypoint, self.model.config.keypoint.heatmap_size
        position, weight = targets.keypoint_cells(regions.keypoints, self.model.enlarge(regions.boxes), size)
        useful = torch.nonzero((weight > 0).any(1)).flatten()
        if config.max_rois:
            kept = [
                targets.choose(useful[regions.batch_index[useful] == b], config.max_rois, generator)
                for b in range(images)
            ]
            useful = torch.cat(kept)
        if config.normalise == "visible":
            divisor = weight[useful].sum()
        else:
            box = self.config.box
            divisor = weight.new_tensor(images * box.samples * box.positive_fraction * weight.shape[1])
        if len(useful) == 0:
            # Batch norm has nothing to average; zero, but joined to the graph.
            return features["pose"].float().sum() * 0, divisor
        logits = self.model.keypoint_logits(features["pose"], regions.boxes[useful], regions.batch_index[useful])
        return losses.keypoint_loss(logits, position[useful], weight[useful], config.sigma), divisor


def _join(parts: list[Regions]) -> Regions:
    return Regions(
        torch.cat([part.boxes for part in parts]),
        torch.cat([part.batch_index for part in parts]),
        torch.cat([part.keypoints for part in parts]),
    )
