"""What the keypoint branch reads of people, pooled once from a frozen network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gcpose_trt.evaluation.annotations import CocoAnnotations
from gcpose_trt.evaluation.evaluator import read_image
from gcpose_trt.files import atomic_write
from gcpose_trt.model import GCPoseRCNN
from gcpose_trt.model.pose_prior import JOINTS
from gcpose_trt.model.prior_head import MAPS_CHANNELS, PriorKeypointHead
from gcpose_trt.runtime.preprocess import Letterbox, SizeRule, fit, place
from gcpose_trt.training import targets
from gcpose_trt.training.config import TrainConfig
from gcpose_trt.training.loading import BatchPlan

JITTER = 0.1
MOST_PEOPLE = 8  # of one image
Progress = Callable[[str], None]


@dataclass
class People:
    """Pooled people; floats are kept in half precision.

    Attributes:
        pooled: (N, C, 14, 14) all channels.
        heat: (N, 34, 56, 56) joint probabilities of the image and of the image at half its size.
        regions: (N, 4) enlarged boxes, input pixels.
        position: (N, 17, 2) cells; weight: (N, 17), 0 where no label is.
    """

    pooled: Tensor
    heat: Tensor
    regions: Tensor
    position: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.regions)

    def rows(self, index: Tensor) -> People:
        """Return some of them, in single precision."""
        return People(*(getattr(self, field.name)[index].float() for field in fields(self)))


def join(parts: Iterable[People]) -> People:
    """Put people after one another."""
    listed = list(parts)
    return People(*(torch.cat([getattr(part, field.name) for part in listed]) for field in fields(People)))


def with_box_factor(model: GCPoseRCNN, factor: float) -> GCPoseRCNN:
    """Let the model's keypoint branch enlarge boxes by `factor`, in place."""
    model.keypoint_head.config = replace(model.keypoint_head.config, box_factor=factor)
    return model


def _pool(model: GCPoseRCNN, pose: Tensor, boxes: Tensor, batch_index: Tensor, keypoints: Tensor) -> People:
    head = model.keypoint_head
    assert isinstance(head, PriorKeypointHead)
    regions = head.enlarge(boxes)
    size = head.config.heatmap_size
    position, weight = targets.keypoint_cells(keypoints, regions, size)
    bordered = head.border(pose)
    first = head.own_channels
    heat = [
        head.pool(bordered[:, at : at + JOINTS].float(), regions, batch_index, size, head.config.heat_sampling_ratio)
        for at in (first, first + MAPS_CHANNELS)
    ]
    pooled = head.pool(bordered, regions, batch_index, head.config.pool_size)
    return People(pooled.half(), torch.cat(heat, 1).half(), regions, position, weight)


@torch.inference_mode()
def training_people(model: GCPoseRCNN, config: TrainConfig, roots: list[Path], people: int, say: Progress) -> People:
    """Return at least `people` labelled people of the recipe's only data set, augmented as it says.

    Raises:
        GcposeError: the data is missing or broken.
    """
    plan = BatchPlan(config, roots, divisor=model.config.divisor)
    generator = torch.Generator().manual_seed(config.seed)
    parts: list[People] = []
    iteration = found = 0
    while found < people:
        for batch in plan.batches(iteration):
            boxes = [torch.from_numpy(one) for one in batch.boxes]
            keypoints = torch.cat([torch.from_numpy(one) for one in batch.keypoints])
            index = torch.arange(len(boxes)).repeat_interleave(torch.tensor([len(one) for one in boxes]))
            labelled = torch.nonzero((keypoints[..., 2] > 0).any(1)).flatten()
            chosen = targets.choose(labelled, MOST_PEOPLE * len(boxes), generator)
            if not len(chosen):
                continue
            x = model.normalize(torch.from_numpy(batch.images), torch.from_numpy(batch.image_size))
            pose = model.features(x)["pose"]
            jittered = targets.jitter_boxes(torch.cat(boxes)[chosen], JITTER, generator)
            some = _pool(model, pose, jittered, index[chosen], keypoints[chosen])
            useful = torch.nonzero((some.weight > 0).any(1)).flatten()
            parts.append(People(*(getattr(some, field.name)[useful] for field in fields(People))))
            found += len(useful)
        iteration += 1
        say(f"{found} of {people} people")
    return join(parts)


@torch.inference_mode()
def evaluation_people(
    model: GCPoseRCNN, annotations: CocoAnnotations, folder: Path
) -> list[tuple[int, Letterbox, People]]:
    """Return for each image its id, its letterbox, and all labelled people, boxes as annotated."""
    out: list[tuple[int, Letterbox, People]] = []
    for image, path in zip(annotations.images, annotations.image_paths(folder), strict=True):
        people = [p for p in annotations.people if p["image_id"] == image["id"] and p["num_keypoints"] > 0]
        if not people:
            continue
        frame = read_image(image, path)
        box = fit(frame.shape[:2], SizeRule(long=model.config.resize.long))
        x = model.normalize(torch.from_numpy(place(frame, box))[None], torch.tensor([box.content]))
        corners = torch.tensor([p["bbox"] for p in people], dtype=torch.float32)
        corners[:, 2:] += corners[:, :2]
        boxes = torch.from_numpy(box.boxes_to_input(corners.numpy())).float()
        none = torch.zeros(len(people), JOINTS, 3)
        found = _pool(model, model.features(x)["pose"], boxes, torch.zeros(len(people), dtype=torch.int64), none)
        out.append((image["id"], box, found))
    return out


def kept(path: Path, make: Callable[[], Any]) -> Any:
    """Return what the file holds, or make it and write it."""
    if path.is_file():
        return torch.load(path, weights_only=False)
    value = make()
    with atomic_write(path, "wb") as stream:
        torch.save(value, stream)
    return value
