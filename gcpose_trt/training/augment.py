"""From an image and its labels to a training sample, with one resampling of the pixels.

All coordinates are continuous: the centre of the first pixel is (0.5, 0.5). Everything random comes from the generator
that is passed in, so a sample is a function of (seed, position in the run).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from gcpose_trt.training.config import AugmentConfig
from gcpose_trt.training.datasets import Array, ImageRecord, read_image

# Left and right joints change names in a mirror (COCO order: nose, then left/right pairs).
MIRRORED_JOINTS = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """A training sample.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        image_size: valid (height, width); the rest of the image is padding.
        boxes: (G, 4) float32 xyxy inside the valid part.
        keypoints: (G, 17, 3) float32 x, y, weight.
        ignore: (I, 4) float32 xyxy, neither people nor background.
    """

    image: npt.NDArray[np.uint8]
    image_size: tuple[int, int]
    boxes: Array
    keypoints: Array
    ignore: Array


@dataclass(frozen=True)
class View:
    """Where the sample looks: `matrix` (2, 3) maps image to sample, `size` is (H, W), `valid` the part in use."""

    matrix: Matrix
    size: tuple[int, int]
    valid: tuple[int, int]
    mirrored: bool
    angle: float


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _linear_part(scale: float, angle: float, mirrored: bool) -> Matrix:
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    return np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1.0 if mirrored else 1.0, 1.0])


def whole_image_view(record: ImageRecord, config: AugmentConfig, rng: np.random.Generator) -> View:
    """Return the view of the whole image with its shortest side drawn from `config.short`."""
    short = int(rng.choice(np.asarray(config.short)))
    scale = short / min(record.height, record.width)
    scale = min(scale, config.long / max(record.height, record.width))
    height, width = max(round(record.height * scale), 1), max(round(record.width * scale), 1)
    mirrored = bool(rng.random() < config.flip)
    linear = np.diag([width / record.width, height / record.height])
    shift = np.zeros(2)
    if mirrored:
        linear[0, 0] *= -1
        shift[0] = width
    return View(np.column_stack([linear, shift]), (height, width), (height, width), mirrored, 0.0)


def _draw_angle(config: AugmentConfig, rng: np.random.Generator) -> float:
    turned = rng.random() < config.rotation_probability
    angle = rng.uniform(-config.rotation, config.rotation)
    return math.radians(angle) if turned else 0.0


def canvas_view(record: ImageRecord, config: AugmentConfig, rng: np.random.Generator) -> View:
    """Return a random crop of fixed size; a smaller image sits at the top left, as in the letterbox at test time."""
    assert config.canvas is not None
    canvas_height, canvas_width = config.canvas
    scale = _log_uniform(rng, *config.scale)
    angle = _draw_angle(config, rng)
    mirrored = bool(rng.random() < config.flip)
    linear = _linear_part(scale, angle, mirrored)
    corners = np.array([[0, 0], [record.width, 0], [0, record.height], [record.width, record.height]]) @ linear.T
    low, extent = corners.min(0), np.ptp(corners, axis=0)
    canvas = np.array([canvas_width, canvas_height])
    # An image larger than the canvas slides behind it; a smaller one stays in the corner.
    room = np.minimum(canvas - extent, 0.0)
    shift = -low + rng.random(2) * room
    if len(record.boxes) and rng.random() < config.hold_person:
        box = record.boxes[rng.integers(len(record.boxes))].astype(np.float64)
        centre = linear @ ((box[:2] + box[2:]) / 2)
        shift = -low + np.clip(rng.uniform(0.2, 0.8, 2) * canvas - centre + low, room, 0.0)
    valid_width = int(min(canvas_width, max(round(extent[0]), 1)))
    valid_height = int(min(canvas_height, max(round(extent[1]), 1)))
    return View(np.column_stack([linear, shift]), config.canvas, (valid_height, valid_width), mirrored, angle)


def person_view(record: ImageRecord, person: int, config: AugmentConfig, rng: np.random.Generator) -> View:
    """Return a crop about one person, scaled so that the longer side of the box is drawn from `config.person_size`."""
    assert config.canvas is not None and config.person_size is not None
    canvas = np.array([config.canvas[1], config.canvas[0]], dtype=np.float64)
    box = record.boxes[person].astype(np.float64)
    side = float(max(box[2] - box[0], box[3] - box[1]))
    scale = _log_uniform(rng, *config.person_size) / max(side, 1.0)
    angle = _draw_angle(config, rng)
    mirrored = bool(rng.random() < config.flip)
    linear = _linear_part(scale, angle, mirrored)
    centre = linear @ ((box[:2] + box[2:]) / 2)
    # Anywhere on the canvas where the box still fits; in the middle if it does not.
    room = np.maximum(canvas - scale * side, 0.0)
    shift = canvas / 2 - centre + (rng.random(2) - 0.5) * room
    return View(np.column_stack([linear, shift]), config.canvas, config.canvas, mirrored, angle)


def transform_points(points: npt.NDArray[np.floating], matrix: Matrix) -> Array:
    """Map points (..., 2) with `matrix` (2, 3)."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def transform_boxes(boxes: Array, view: View) -> Array:
    """Map boxes (G, 4). Of a turned box, the bounds of the inscribed ellipse: bodies leave the corners empty."""
    centre = transform_points((boxes[:, :2] + boxes[:, 2:]) / 2, view.matrix)
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    if view.angle == 0:
        half = half * np.abs(np.diag(view.matrix[:, :2]))
    else:
        half = np.sqrt(half**2 @ (view.matrix[:, :2] ** 2).T)
    return np.concatenate([centre - half, centre + half], 1).astype(np.float32)


def _clip(boxes: Array, valid: tuple[int, int]) -> Array:
    limit = np.array([valid[1], valid[0], valid[1], valid[0]], np.float32)
    return np.clip(boxes, 0, limit).astype(np.float32)


def _areas(boxes: Array) -> Array:
    return ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).astype(np.float32)


def transform_labels(record: ImageRecord, view: View, config: AugmentConfig) -> tuple[Array, Array, Array]:
    """Map boxes, keypoints and ignored regions into the view; people hardly in view become ignored regions."""
    keypoints = record.keypoints.copy()
    keypoints[..., :2] = transform_points(keypoints[..., :2], view.matrix)
    if view.mirrored:
        keypoints = keypoints[:, MIRRORED_JOINTS]
    x, y = keypoints[..., 0], keypoints[..., 1]
    keypoints[..., 2] *= (x >= 0) & (x < view.valid[1]) & (y >= 0) & (y < view.valid[0])

    whole = transform_boxes(record.boxes, view)
    boxes = _clip(whole, view.valid)
    ignore = _clip(transform_boxes(record.ignore, view), view.valid)
    side = (boxes[:, 2:] - boxes[:, :2]).min(1) if len(boxes) else np.zeros(0)
    kept = (side >= config.min_box) & (_areas(boxes) >= config.min_visible * _areas(whole))
    ignore = np.concatenate([ignore, boxes[~kept]])
    return boxes[kept], keypoints[kept], ignore[_areas(ignore) > 0]


def warp(image: npt.NDArray[np.uint8], view: View, fill: int) -> npt.NDArray[np.uint8]:
    """Resample `image` (H, W, 3) uint8 into the view."""
    matrix = view.matrix.copy()
    scale = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    # Bilinear sampling skips pixels when it shrinks more than twice; average blocks of pixels first.
    factor = 2 ** max(math.floor(-math.log2(max(scale, 1e-6))), 0)
    if factor > 1:
        height, width = image.shape[:2]
        size = (max(width // factor, 1), max(height // factor, 1))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        matrix[:, :2] @= np.diag([width / size[0], height / size[1]])
    # OpenCV counts pixel centres from 0, the labels from 0.5.
    matrix[:, 2] += matrix[:, :2].sum(1) * 0.5 - 0.5
    height, width = view.size
    out = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(fill, fill, fill))
    return out.astype(np.uint8, copy=False)


def jitter_colour(
    image: npt.NDArray[np.uint8], config: AugmentConfig, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Change brightness, contrast, saturation and hue of `image` (H, W, 3) uint8 BGR with one 3x4 matrix."""
    brightness, contrast, saturation, hue = rng.uniform(-1, 1, 4)
    grey = rng.random() < config.grey
    if not (config.brightness or config.contrast or config.saturation or config.hue or grey):
        return image
    luminance = np.tile([0.114, 0.587, 0.299], (3, 1))
    amount = 0.0 if grey else 1 + config.saturation * saturation
    saturate = amount * np.eye(3) + (1 - amount) * luminance
    angle = math.radians(config.hue * hue)
    turn, _ = cv2.Rodrigues(np.full(3, angle / math.sqrt(3)))
    gain = 1 + config.contrast * contrast
    light = 1 + config.brightness * brightness
    matrix = np.zeros((3, 4))
    matrix[:, :3] = light * gain * saturate @ turn
    matrix[:, 3] = light * (1 - gain) * 127.5
    return np.asarray(cv2.transform(image, matrix), dtype=np.uint8)


def make_sample(record: ImageRecord, person: int, config: AugmentConfig, rng: np.random.Generator) -> Sample:
    """Read an image and return it augmented.

    Args:
        record: the image.
        person: index of the person to centre on; -1 for the whole image.
        config: what to do.
        rng: where randomness comes from.

    Raises:
        GcposeError: the image cannot be read.
    """
    if config.canvas is None:
        view = whole_image_view(record, config, rng)
    elif person >= 0:
        view = person_view(record, person, config, rng)
    else:
        view = canvas_view(record, config, rng)
    image = jitter_colour(warp(read_image(record), view, config.fill), config, rng)
    return Sample(image, view.valid, *transform_labels(record, view, config))
