"""From YAML and `--set key=value` to a checked `TrainConfig`."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.training.config import AugmentConfig, DatasetConfig, TrainConfig

CONFIG_FOLDER = Path(__file__).parent / "configs"


def shipped_recipes() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(path.stem for path in CONFIG_FOLDER.glob("*.yaml"))


def load_config(name_or_path: str, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a recipe.

    Args:
        name_or_path: name of a shipped recipe, or path of a YAML file.
        overrides: "key=value" with dots between levels and numbers for list entries; values are YAML.

    Raises:
        GcposeError: no such recipe, or it has an unknown key or a value out of range.
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingDependencyError("pyyaml", "train", "training") from error
    shipped = CONFIG_FOLDER / f"{name_or_path}.yaml"
    path = shipped if shipped.is_file() else Path(name_or_path)
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        for override in overrides:
            key, separator, value = override.partition("=")
            if not separator:
                raise GcposeError(f"--set {override} has no value; write --set key=value")
            _assign(tree, key, yaml.safe_load(value))
    except (OSError, UnicodeDecodeError) as error:
        choices = ", ".join(shipped_recipes())
        raise GcposeError(f"no recipe {name_or_path}; give one of {choices}, or the path of a YAML file") from error
    except yaml.YAMLError as error:
        text = " ".join(str(error).split())
        raise GcposeError(f"{path} or a --set option is not YAML ({text}); correct it") from error
    return config_from_dict(tree)


def config_from_dict(tree: Any) -> TrainConfig:
    """Build and check a recipe from plain dicts, lists and numbers; `dataclasses.asdict` turned back.

    Raises:
        GcposeError: unknown key, wrong type or value out of range.
    """
    config = _convert(tree, TrainConfig, "recipe")
    assert isinstance(config, TrainConfig)
    check_config(config)
    return config


def _assign(tree: Any, key: str, value: Any) -> None:
    *path, last = key.split(".")
    node = tree
    for part in path:
        node = _child(node, part, key) if isinstance(node, list) else _entry(node, part, key)
    if isinstance(node, list):
        _child(node, last, key)
        node[int(last)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise GcposeError(f"--set {key}: {'.'.join(path)} is a plain value; set that instead")


def _entry(node: Any, part: str, key: str) -> Any:
    if not isinstance(node, dict):
        raise GcposeError(f"--set {key}: nothing lies below {part}; correct the key")
    if node.get(part) is None:
        node[part] = {}
    return node[part]


def _child(node: list[Any], part: str, key: str) -> Any:
    if not part.isdigit() or int(part) >= len(node):
        raise GcposeError(f"--set {key}: {part} is no entry of a list of {len(node)}; count from 0")
    return node[int(part)]


def _convert(value: Any, kind: Any, where: str) -> Any:
    """Convert YAML `value` to the annotated type `kind`; strict, because a mistyped recipe trains silently wrong."""
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _convert_dataclass(value, kind, where)
    if origin is types.UnionType:
        inner = next(option for option in typing.get_args(kind) if option is not type(None))
        return None if value is None else _convert(value, inner, where)
    if origin is tuple:
        options = typing.get_args(kind)
        repeated = options[-1] is Ellipsis
        if not isinstance(value, (list, tuple)) or not (repeated or len(value) == len(options)):
            raise GcposeError(f"{where} is {value!r}; give a list{'' if repeated else f' of {len(options)} values'}")
        inner_kinds = [options[0]] * len(value) if repeated else options
        return tuple(_convert(item, inner_kinds[n], f"{where}.{n}") for n, item in enumerate(value))
    if kind is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-4 as a string
        except ValueError:
            pass
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise GcposeError(f"{where} is {value!r}; give a value of type {kind.__name__}")
    return value


def _convert_dataclass(value: Any, kind: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise GcposeError(f"{where} is {value!r}; give a mapping of settings")
    hints = typing.get_type_hints(kind)
    for key in value:
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, 1)
            advice = f"did you mean {near[0]}?" if near else f"choose from {', '.join(hints)}"
            raise GcposeError(f"{where} has no setting {key}; {advice}")
    return kind(**{key: _convert(item, hints[key], f"{where}.{key}") for key, item in value.items()})


def _range(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: low <= value <= high


_FRACTION, _COUNT, _AMOUNT = _range(0, 1), _range(0, 10**9), _range(0, 1e9)
# One line a setting whose wrong value would fail late or silently: path, test, what is allowed.
_LIMITS: list[tuple[str, Callable[[Any], bool], str]] = [
    ("precision", lambda v: v in ("fp32", "bf16", "fp16"), "fp32, bf16 or fp16"),
    ("ema", lambda v: 0 <= v < 1, "at least 0 and below 1"),
    ("workers", _range(0, 256), "0 to 256"),
    ("seed", _range(0, 2**31 - 1), "0 to 2147483647"),
    ("checkpoint_every", _range(1, 10**9), "at least 1"),
    ("log_every", _range(1, 10**9), "at least 1"),
    ("rpn.positive_iou", _FRACTION, "0 to 1"),
    ("rpn.negative_iou", _FRACTION, "0 to 1"),
    ("rpn.samples", _range(1, 10**6), "at least 1"),
    ("rpn.positive_fraction", _FRACTION, "0 to 1"),
    ("rpn.pre_nms", _range(1, 10**6), "at least 1"),
    ("rpn.post_nms", _range(1, 10**6), "at least 1"),
    ("box.positive_iou", _FRACTION, "0 to 1"),
    ("box.samples", _range(1, 10**6), "at least 1"),
    ("box.positive_fraction", _FRACTION, "0 to 1"),
    ("box.beta", _AMOUNT, "at least 0"),
    ("keypoint.roi_jitter", _range(0, 0.5), "0 to 0.5"),
    ("keypoint.jitter_copies", _range(1, 1000), "at least 1"),
    ("keypoint.max_rois", _COUNT, "at least 0"),
    ("keypoint.sigma", _range(0, 20), "0 to 20"),
    ("keypoint.normalise", lambda v: v in ("visible", "fixed"), "visible or fixed"),
    ("optimizer.name", lambda v: v in ("sgd", "adamw"), "sgd or adamw"),
    ("optimizer.lr", lambda v: 0 < v < math.inf, "above 0"),
    ("optimizer.momentum", lambda v: 0 <= v < 1, "at least 0 and below 1"),
    ("optimizer.weight_decay", _AMOUNT, "at least 0"),
    ("optimizer.clip_norm", _AMOUNT, "at least 0"),
    ("schedule.iterations", _range(1, 10**9), "at least 1"),
    ("schedule.name", lambda v: v in ("step", "cosine"), "step or cosine"),
    ("schedule.warmup", _COUNT, "at least 0"),
    ("schedule.warmup_factor", _FRACTION, "0 to 1"),
    ("schedule.final", _FRACTION, "0 to 1"),
    ("schedule.steps", lambda v: all(step > 0 for step in v), "iterations above 0"),
    ("validation.every", _COUNT, "at least 0"),
    ("validation.max_images", _COUNT, "at least 0"),
]
_DATASET_LIMITS: list[tuple[str, Callable[[Any], bool], str]] = [
    ("images", bool, "a folder"),
    ("annotations", bool, "a COCO JSON file"),
    ("batch", _range(1, 10**5), "at least 1"),
    ("weight", _AMOUNT, "at least 0"),
    ("teacher_joints", lambda v: all(0 <= joint < 17 for joint in v), "joints 0 to 16"),
    ("teacher_weight", _AMOUNT, "at least 0"),
    ("teacher_agreement", _FRACTION, "0 to 1"),
    ("limit", _COUNT, "at least 0"),
    ("augment.short", lambda v: all(side >= 32 for side in v), "sides of at least 32"),
    ("augment.canvas", lambda v: v is None or all(s >= 32 and s % 32 == 0 for s in v), "multiples of 32"),
    ("augment.scale", lambda v: 0 < v[0] <= v[1], "two factors above 0, the smaller first"),
    ("augment.person_size", lambda v: v is None or 1 <= v[0] <= v[1], "two sizes of at least 1, the smaller first"),
    ("augment.rotation", _range(0, 180), "0 to 180"),
    ("augment.rotation_probability", _FRACTION, "0 to 1"),
    ("augment.hold_person", _FRACTION, "0 to 1"),
    ("augment.flip", _FRACTION, "0 to 1"),
    ("augment.brightness", _range(0, 0.9), "0 to 0.9"),
    ("augment.contrast", _range(0, 0.9), "0 to 0.9"),
    ("augment.saturation", _FRACTION, "0 to 1"),
    ("augment.hue", _range(0, 180), "0 to 180"),
    ("augment.grey", _FRACTION, "0 to 1"),
    ("augment.fill", _range(0, 255), "0 to 255"),
]


def _check_limits(node: Any, limits: list[tuple[str, Callable[[Any], bool], str]], where: str) -> None:
    for key, test, allowed in limits:
        value = node
        for part in key.split("."):
            value = getattr(value, part)
        if not test(value):
            raise GcposeError(f"{where}{key} is {value}; give {allowed}")


def _check_augment(dataset: DatasetConfig, augment: AugmentConfig, where: str) -> None:
    if bool(augment.short) == (augment.canvas is not None):
        raise GcposeError(f"{where}augment needs either short or canvas; give one of them")
    if augment.person_size is not None and augment.canvas is None:
        raise GcposeError(f"{where}augment.person_size needs canvas; give a canvas")
    if augment.short and augment.rotation:
        raise GcposeError(f"{where}augment.rotation needs canvas; give a canvas or rotation 0")
    if dataset.detection and augment.rotation > 15:
        # The box round a person turned further is a guess, and the detector would learn the guess.
        raise GcposeError(f"{where}augment.rotation is {augment.rotation}; at most 15 where detection is true")
    if dataset.detection and augment.person_size is not None:
        raise GcposeError(f"{where}augment.person_size draws single people; use scale where detection is true")


def check_config(config: TrainConfig) -> None:
    """Refuse values that would fail late or train silently wrong.

    Raises:
        GcposeError: names the setting and what it may be.
    """
    if not config.datasets:
        raise GcposeError("the recipe has no datasets; list at least one under datasets:")
    _check_limits(config, _LIMITS, "")
    if config.rpn.negative_iou > config.rpn.positive_iou:
        raise GcposeError("rpn.negative_iou is above rpn.positive_iou; lower it")
    if config.validation.every and not (config.validation.images and config.validation.annotations):
        raise GcposeError("validation.every is set without validation.images and annotations; give them")
    if not config.keypoint.proposals and config.keypoint.roi_jitter == 0 and config.loss.keypoint > 0:
        raise GcposeError("keypoint.proposals is off and roi_jitter 0: nothing to train on; switch one on")
    for n, dataset in enumerate(config.datasets):
        where = f"datasets.{n}."
        _check_limits(dataset, _DATASET_LIMITS, where)
        _check_augment(dataset, dataset.augment, where)
