"""What a training recipe is made of. A recipe is a YAML file; `config_loading` turns it into these dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field

Pair = tuple[float, float]


@dataclass(frozen=True)
class AugmentConfig:
    """How an image becomes a training sample.

    Either `short` is given (the whole image, resized as at test time) or `canvas` (a crop of fixed size).

    Attributes:
        short: choices of the shortest side, pixels.
        long: limit of the longest side, pixels, with `short`.
        canvas: (height, width) of the crop, pixels.
        scale: range of the factor applied to the image, with `canvas`; drawn log-uniformly.
        person_size: range of the longer side of a person's box after scaling, pixels; replaces `scale`, and makes
            people, not images, the things that are drawn.
        hold_person: how often the crop is placed so that some person's centre is in view, with `canvas` and `scale`.
        rotation: largest angle, degrees.
        rotation_probability: how often to rotate at all.
        flip: how often to mirror.
        brightness, contrast, saturation: spread of the factors, 0.4 meaning 0.6 to 1.4.
        hue: largest turn about the grey axis, degrees.
        grey: how often to drop the colour.
        fill: grey level outside the image.
        min_box: people whose visible box has a side below this many pixels are neither people nor background.
        min_visible: the same for people of whose box less than this part is in view.
    """

    short: tuple[int, ...] = ()
    long: int = 1333
    canvas: tuple[int, int] | None = None
    scale: Pair = (1.0, 1.0)
    person_size: Pair | None = None
    hold_person: float = 0.0
    rotation: float = 0.0
    rotation_probability: float = 1.0
    flip: float = 0.5
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    fill: int = 127
    min_box: float = 2.0
    min_visible: float = 0.1


@dataclass(frozen=True)
class DatasetConfig:
    """A COCO-format data set and what its labels are good for.

    Attributes:
        images, annotations: folder and JSON file, relative to one of the data roots.
        batch: images of this set in an iteration, all processes together.
        detection: False if only one of the people in view is labelled: the rest are not background, so the set trains
            the keypoint branch only.
        weight: factor on all its losses.
        teacher_joints: joints whose place may come from `teacher_keypoints` where no person labelled them.
        teacher_threshold: the teacher's score from which it is believed.
        teacher_weight: weight of such a joint in the keypoint loss.
        teacher_agreement: where the teacher lies within this part of the box's longer side of a person's label, its
            place is taken, and where it does not the label is left out: for sets that put joints elsewhere on the body
            than COCO does, or label them carelessly. 0 takes labels as they are.
        keypoint_offset: added to labelled coordinates; COCO counts pixels, 0.5 makes that the pixel's centre.
        min_keypoints: images (or people, when people are drawn) with fewer labelled joints are left out.
        limit: use only the first images; 0 uses all.
    """

    images: str = ""
    annotations: str = ""
    batch: int = 1
    detection: bool = True
    weight: float = 1.0
    teacher_joints: tuple[int, ...] = ()
    teacher_threshold: float = 0.5
    teacher_weight: float = 0.5
    teacher_agreement: float = 0.0
    keypoint_offset: float = 0.5
    min_keypoints: int = 0
    limit: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(frozen=True)
class RpnConfig:
    """Which anchors and proposals the region proposal network learns from (Ren et al., Faster R-CNN)."""

    positive_iou: float = 0.7
    negative_iou: float = 0.3
    samples: int = 256
    positive_fraction: float = 0.5
    pre_nms: int = 2000
    post_nms: int = 1500
    ignore_overlap: float = 0.5


@dataclass(frozen=True)
class BoxConfig:
    """Which regions the box branch learns from."""

    positive_iou: float = 0.5
    samples: int = 512
    positive_fraction: float = 0.25
    beta: float = 0.5
    ignore_overlap: float = 0.5


@dataclass(frozen=True)
class KeypointConfig:
    """Which regions the keypoint branch learns from, and towards what.

    Attributes:
        proposals: use foreground proposals of the box branch (the paper's way).
        roi_jitter: besides them (or alone, where a set has no detection labels), ground-truth boxes whose centre and
            size are shifted by up to this part of the size.
        jitter_copies: jittered boxes for each person.
        max_rois: regions an image; 0 is no limit.
        sigma: 0 for the one-cell target of the paper, else the standard deviation in cells of a Gaussian target.
        normalise: "visible", by the joints that count, or "fixed", by as many as the box branch could give.
    """

    proposals: bool = True
    roi_jitter: float = 0.0
    jitter_copies: int = 1
    max_rois: int = 0
    sigma: float = 0.0
    normalise: str = "visible"


@dataclass(frozen=True)
class LossWeights:
    """Factors on the terms of the loss."""

    rpn_class: float = 1.0
    rpn_box: float = 1.0
    box_class: float = 1.0
    box_regression: float = 1.0
    keypoint: float = 1.0


@dataclass(frozen=True)
class ParamGroupConfig:
    """Settings for the parameters whose name starts with `prefix`; the longest prefix wins.

    Attributes:
        prefix: start of the parameters' names, as in the state dict.
        lr_scale: factor on the learning rate; 0 freezes them, batch statistics included.
        weight_decay: replaces the optimizer's.
    """

    prefix: str = ""
    lr_scale: float = 1.0
    weight_decay: float | None = None


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer; `decay_norm` and `decay_bias` say whether normalisation layers and biases decay too."""

    name: str = "sgd"
    lr: float = 0.02
    momentum: float = 0.9
    betas: Pair = (0.9, 0.999)
    weight_decay: float = 1e-4
    decay_norm: bool = False
    decay_bias: bool = True
    clip_norm: float = 0.0
    param_groups: tuple[ParamGroupConfig, ...] = ()


@dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate over the run.

    Attributes:
        iterations: length of the run.
        name: "step" or "cosine".
        steps: iterations at which "step" multiplies by `gamma`.
        gamma: see `steps`.
        final: the fraction of the learning rate at which "cosine" ends.
        warmup: iterations of linear rise from `warmup_factor`.
        warmup_factor: see `warmup`.
    """

    iterations: int = 270_000
    name: str = "step"
    steps: tuple[int, ...] = (210_000, 250_000)
    gamma: float = 0.1
    final: float = 0.0
    warmup: int = 1000
    warmup_factor: float = 0.001


@dataclass(frozen=True)
class ValidationConfig:
    """Periodic evaluation; off while `every` is 0.

    Attributes:
        images, annotations: relative to a data root.
        every: iterations between evaluations.
        max_images: only the first images; 0 evaluates all.
        metric: what "best" means, a key of the evaluator's result.
    """

    images: str = ""
    annotations: str = ""
    every: int = 0
    max_images: int = 0
    metric: str = "keypoints/AP"


@dataclass(frozen=True)
class TrainConfig:
    """A whole recipe.

    Attributes:
        model: name for `gcpose_trt.model.build_model`.
        seed: everything random follows from it.
        precision: "fp32", "bf16" or "fp16" (autocast).
        channels_last: memory order of the images and features; faster for depthwise convolutions on CPUs.
        ema: decay of the running average of the weights that is evaluated and shipped; 0 for none.
        workers: processes that prepare data; 0 does it in the training process.
        checkpoint_every, log_every: iterations.
        export: a finished run also leaves `detector.onnx` and `pose.onnx`, checked against the network.
    """

    model: str = "mobile"
    seed: int = 0
    precision: str = "fp32"
    channels_last: bool = False
    ema: float = 0.0
    workers: int = 2
    checkpoint_every: int = 500
    log_every: int = 20
    export: bool = False
    datasets: tuple[DatasetConfig, ...] = ()
    rpn: RpnConfig = field(default_factory=RpnConfig)
    box: BoxConfig = field(default_factory=BoxConfig)
    keypoint: KeypointConfig = field(default_factory=KeypointConfig)
    loss: LossWeights = field(default_factory=LossWeights)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
