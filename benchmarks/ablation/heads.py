"""Training and evaluating one variant of the keypoint branch on pooled people."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.ablation.features import People
from gcpose_trt.evaluation import CocoAnnotations, average_precision
from gcpose_trt.evaluation.results import PIXEL_CENTRE
from gcpose_trt.model.config import CONFIGS, KeypointConfig
from gcpose_trt.model.ops import keypoint_decode, oks_decode
from gcpose_trt.model.pose_prior import JOINTS
from gcpose_trt.model.prior_head import MAPS_CHANNELS, PROBABILITY_FLOOR, PriorKeypointHead
from gcpose_trt.runtime.preprocess import Letterbox
from gcpose_trt.training.losses import keypoint_loss

NUMBERS = ("heat_weight", "place_weight", "log_spread", "centre_sharpness", "centre_pull", "gate_size", "gate_slope")
NUMBERS_RATE = 0.02  # they have far to go in few steps
FAR = 40.0  # log2 of a size that nobody has
BATCH = 24
WARMUP = 20
AVERAGE = 0.99


@dataclass(frozen=True)
class Variant:
    """One choice.

    Attributes:
        name: short, unique.
        group: what is varied; the table's sections.
        branch: replaces settings of the branch; `gcms` is the number of global context modules.
        gcms: 0, 1 or 2.
        maps: "both", "fine" or "coarse": which MoveNet maps the prior reads.
        head: whether there is a learned branch beside the prior's few numbers.
        train: whether anything is trained.
        more: name of the second set of people (Leeds), empty for none.
        share: of that set in a batch.
        sigma, lr, steps: of the training.
        decode: "oks" or "peak".
    """

    name: str
    group: str
    branch: dict[str, Any] = field(default_factory=dict)
    gcms: int = 2
    maps: str = "both"
    head: bool = True
    train: bool = True
    more: str = "teacher"
    share: float = 0.7
    sigma: float = 0.5
    lr: float = 1.4e-4
    steps: int = 200
    decode: str = "oks"
    seed: int = 0

    @property
    def config(self) -> KeypointConfig:
        """Of the branch."""
        return replace(CONFIGS["mobile"].keypoint, gcm=self.gcms > 0, **self.branch)


def build(variant: Variant) -> PriorKeypointHead:
    """Return an untrained branch."""
    torch.manual_seed(variant.seed)
    head = PriorKeypointHead(variant.config, CONFIGS["mobile"].channels)
    if variant.gcms == 1:
        head.stages[0] = nn.Identity()
    with torch.no_grad():
        if variant.maps != "both":
            head.gate_size.fill_(FAR if variant.maps == "fine" else -FAR)
    return head


def logits(head: PriorKeypointHead, people: People, learned: bool) -> Tensor:
    """Return the maps (N, 17, S, S) of pooled people; the same sum as the branch's own `forward`."""
    first = head.own_channels
    gate = head.coarse_share(people.regions)
    heat = [torch.log(people.heat[:, at : at + JOINTS] + PROBABILITY_FLOOR) for at in (0, JOINTS)]
    places = [
        head.regressed_places(people.pooled[:, at + JOINTS : at + MAPS_CHANNELS], people.regions)
        for at in (first, first + MAPS_CHANNELS)
    ]
    prior = head.heat_weight[:, None, None] * torch.lerp(heat[0], heat[1], gate[:, None, None, None])
    place = torch.lerp(places[0], places[1], gate[:, None, None])
    out = prior - head.place_cost(place, people.regions, prior.shape[-1])
    if learned:
        with torch.autocast("cpu", torch.bfloat16, enabled=head.training):
            own = head.logits(people.pooled)
        out = out + own.float()
    return out


def train(variant: Variant, main: People, more: People | None) -> PriorKeypointHead:
    """Return the averaged branch after the variant's training."""
    head = build(variant)
    if not variant.train:
        return head.eval()
    frozen = {"gate_size", "gate_slope"} if variant.maps != "both" else set()
    numbers = [p for name, p in head.named_parameters() if name in NUMBERS and name not in frozen]
    rest = [p for name, p in head.named_parameters() if name not in NUMBERS]
    groups: list[dict[str, Any]] = [{"params": numbers, "lr": NUMBERS_RATE, "weight_decay": 0.0}]
    if variant.head:
        groups.append({"params": rest, "lr": variant.lr, "weight_decay": 0.01})
    optimizer = torch.optim.AdamW(groups)
    rates = [group["lr"] for group in optimizer.param_groups]
    average = copy.deepcopy(head)
    head.train()
    for step in range(variant.steps):
        factor = min(1.0, (step + 1) / WARMUP) * (0.01 + 0.495 * (1 + math.cos(math.pi * step / variant.steps)))
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        people = _batch(variant, main, more)
        terms = keypoint_loss(logits(head, people, variant.head), people.position, people.weight, variant.sigma)
        loss = terms / people.weight.sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(head.parameters(), 5.0)
        optimizer.step()
        _update(average, head, min(AVERAGE, (step + 1) / (step + 10)))
    return average.eval()


def _batch(variant: Variant, main: People, more: People | None) -> People:
    second = 0 if more is None else round(BATCH * variant.share)
    people = main.rows(torch.randint(0, len(main), (BATCH - second,)))
    if more is None or not second:
        return people
    others = more.rows(torch.randint(0, len(more), (second,)))
    return People(*(torch.cat(pair) for pair in zip(vars(people).values(), vars(others).values(), strict=True)))


@torch.no_grad()
def _update(average: nn.Module, model: nn.Module, decay: float) -> None:
    for old, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)


@torch.inference_mode()
def evaluate(
    variant: Variant,
    head: PriorKeypointHead,
    images: list[tuple[int, Letterbox, People]],
    annotations: CocoAnnotations,
) -> dict[str, float | None]:
    """Return keypoint metrics with the annotated boxes, people in order of their joints' mean score."""
    results: list[dict[str, Any]] = []
    for image_id, box, kept in images:
        people = kept.rows(torch.arange(len(kept)))
        maps = logits(head, people, variant.head)
        if variant.decode == "oks":
            joints = oks_decode(maps, people.regions, spread=head.config.spread)
        else:
            joints = keypoint_decode(maps, people.regions, score_radius=4.5)
        for one in box.keypoints_to_frame(joints.numpy()):
            score = float(one[:, 2].mean())
            one = np.concatenate([one[:, :2] - PIXEL_CENTRE, one[:, 2:]], 1)
            results.append({"image_id": image_id, "keypoints": one.ravel().tolist(), "score": score})
    found, _ = average_precision(annotations, results)
    return {name: found[name] for name in ("AP", "AP50", "AP75", "APm", "APl")}
