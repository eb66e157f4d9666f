"""What distinguishes one model from another, as data. `r50` and `r101` are the paper's networks; `mobile` is ours."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gcpose_trt.pose.skeleton import COCO17

# The person's own area as a part of the box's, in the mean over COCO's people; OKS is measured in it.
PERSON_AREA = 0.53


@dataclass(frozen=True)
class ResizeRule:
    """How a frame is fitted: its short side becomes `short`, or less where the long one would pass `long`.

    With `short` None the long side becomes `long`.
    """

    short: int | None
    long: int


@dataclass(frozen=True)
class RpnConfig:
    """Region proposal network (Ren et al., Faster R-CNN, section 3.1)."""

    levels: tuple[int, ...] = (2, 3, 4, 5, 6)
    anchor_sizes: tuple[int, ...] = (32, 64, 128, 256, 512)  # one size a level, sides of a square in pixels
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)  # height / width
    separable: bool = False  # depthwise + pointwise instead of a full 3x3 convolution
    pre_nms: int = 1000  # a level
    post_nms: int = 1000  # an image, all levels
    nms_threshold: float = 0.7


@dataclass(frozen=True)
class BoxConfig:
    """Box branch (Girshick, Fast R-CNN)."""

    pool_size: int = 7
    hidden: int = 1024
    score_threshold: float = 0.05
    nms_threshold: float = 0.5
    max_people: int = 100


@dataclass(frozen=True)
class KeypointConfig:
    """Keypoint branch of the paper (Li et al., section 3)."""

    joints: int = 17
    pool_size: int = 14
    sampling_ratio: int = 0  # of RoIAlign, samples a bin and side; 0 adapts it to the region
    heat_sampling_ratio: int = 0  # the same for `mobile`'s prior maps, pooled at heatmap_size
    channels: int = 512
    convs: int = 4  # after each global context module
    heads: int = 4
    gcm: bool = True
    box_factor: float = 1.3  # enlargement of the boxes for this branch only
    heatmap_size: int = 56  # bilinear 2x of the deconvolution's 28
    samples_per_cell: int = 4  # of the decode's first step; 2 will do where maps are smooth
    score_radius: float = 0.0  # cells; 0 scores a joint by its softmax peak (see `ops.keypoint_decode`)
    decode: str = "peak"  # "peak", the paper's way (`ops.keypoint_decode`), or "oks" (`ops.oks_decode`)

    @property
    def spread(self) -> tuple[float, ...]:
        """For each joint, the deviation of OKS's kernel in parts of the root of an enlarged box's area."""
        person = math.sqrt(PERSON_AREA) / self.box_factor
        return tuple(2 * sigma * person for sigma in COCO17.sigmas)


@dataclass(frozen=True)
class ModelConfig:
    """One network. `name` is the key under which `build_model` knows it."""

    name: str
    backbone: str  # "resnet50", "resnet101" or "mobilenet_v2"
    resize: ResizeRule
    pixel_mean: tuple[float, float, float]  # BGR
    pixel_std: tuple[float, float, float]
    channels: int = 256  # of the pyramid
    pose_prior: bool = False  # MoveNet's dense heads feed the branches (mobilenet_v2 only)
    rpn: RpnConfig = field(default_factory=RpnConfig)
    box: BoxConfig = field(default_factory=BoxConfig)
    keypoint: KeypointConfig = field(default_factory=KeypointConfig)
    divisor: int = 32  # both sides of the input are multiples of it
    min_score: float = 0.5  # people shown by default
    keypoint_threshold: float = 0.05  # joints drawn by default
    rank: str = "box"  # what orders the people in evaluation: "box" or "box*keypoints"


def _resnet(name: str, backbone: str) -> ModelConfig:
    return ModelConfig(
        name=name,
        backbone=backbone,
        resize=ResizeRule(short=800, long=1333),
        pixel_mean=(103.53, 116.28, 123.675),
        pixel_std=(1.0, 1.0, 1.0),
    )


CONFIGS = {
    "r50": _resnet("r50", "resnet50"),
    "r101": _resnet("r101", "resnet101"),
    "mobile": ModelConfig(
        name="mobile",
        backbone="mobilenet_v2",
        resize=ResizeRule(short=None, long=512),
        # MoveNet's own scaling, x * 2 / 255 - 1, written as mean and deviation.
        pixel_mean=(127.5, 127.5, 127.5),
        pixel_std=(127.5, 127.5, 127.5),
        channels=64,
        pose_prior=True,
        rpn=RpnConfig(
            # Level 2 would cost four times the others together, and the pose prior proposes the small people.
            levels=(3, 4, 5, 6),
            anchor_sizes=(32, 64, 128, 256),
            separable=True,
            pre_nms=200,
            post_nms=60,
        ),
        box=BoxConfig(hidden=256, max_people=30),
        keypoint=KeypointConfig(channels=96, convs=2, sampling_ratio=2, heat_sampling_ratio=1, decode="oks"),
        keypoint_threshold=0.3,
        rank="box*keypoints",
    ),
}
