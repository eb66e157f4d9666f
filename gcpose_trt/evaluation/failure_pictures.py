"""One error as a picture: where it happened, the people annotated there beside those found."""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gcpose_trt.evaluation.errors import CLOSE, Finding
from gcpose_trt.evaluation.matching import Floats, poses_of
from gcpose_trt.evaluation.results import PIXEL_CENTRE
from gcpose_trt.pose.drawing.labels import draw_box
from gcpose_trt.pose.drawing.skeletons import draw_skeletons
from gcpose_trt.pose.drawing.strokes import Image, blend, draw_strokes
from gcpose_trt.pose.drawing.text import DESCENT, text_mask
from gcpose_trt.pose.skeleton import COCO17, Colour, Skeleton
from gcpose_trt.pose.types import PoseFrame

WIDTH, HEIGHT = 384, 448  # pixels of each half
GAP, LETTER = 6, 11
# BGR. One hue for each side of the comparison; within it the person's left is light and the right dark, because
# exchanged sides would not show otherwise.
TRUTH = dataclasses.replace(COCO17, colours={"left": (255, 220, 90), "right": (225, 95, 10), "centre": (255, 235, 200)})
FOUND = dataclasses.replace(COCO17, colours={"left": (70, 215, 255), "right": (20, 70, 245), "centre": (200, 230, 255)})
_PAPER: Colour = (30, 26, 24)
_TEXT: Colour = (240, 240, 240)
_GREY: Colour = (150, 150, 150)
_ERROR: Colour = (255, 255, 255)  # from where a joint was put to where it belongs
_FAINT, _CLEAR = 0.0, 1.0  # confidence: others, and joints that are not judged, are drawn but faint
_MARGIN = 0.2  # around the people, in parts of their extent
_LEAST = 48.0  # pixels of the image that a half shows at least


def caption(finding: Finding) -> tuple[str, str]:
    """Return the image's file name, and the kind of error with its numbers."""
    facts = [f"{'best ' if finding.kind in ('missed', 'false') else ''}OKS {finding.similarity:.2f}"]
    if finding.is_second:
        facts.append("somebody found already")
    if finding.kind == "swapped":
        facts.append(f"{finding.similarity + finding.gain:.2f} with sides exchanged")
    if finding.score is not None:
        facts.append(f"score {finding.score:.2f}")
    return str(finding.scene.image["file_name"]), f"{finding.kind}: {', '.join(facts)}"


def draw_finding(finding: Finding, image: Image) -> Image:
    """Return the picture.

    Args:
        finding: the error.
        image: (H, W, 3) BGR uint8, the whole image that it is in.

    Returns:
        (h, w, 3) BGR uint8: left the truth, right what was found, below the caption.
    """
    view = _View(_region(finding, image.shape), image)
    scene = finding.scene
    halves = [
        _half(view, scene.people, finding.person, TRUTH, _judged(finding)),
        _half(view, scene.found, finding.found, FOUND, _judged(finding)),
    ]
    if finding.person is not None and finding.found is not None:
        _draw_errors(halves[1], view, finding)
    titles = [_title("annotated", TRUTH), _title("found", FOUND)]
    gap: Image = np.full((HEIGHT + titles[0].shape[0], GAP, 3), _PAPER, np.uint8)
    sides = [np.vstack([title, half]) for title, half in zip(titles, halves, strict=True)]
    whole = np.hstack([sides[0], gap, sides[1]])
    return np.vstack([whole, *(_strip([(line, _TEXT)], whole.shape[1]) for line in caption(finding))])


class _View:
    """The part of an image that both halves show, enlarged to their size.

    Args:
        region: left, top, width and height in pixels of the image; may reach beyond it.
        image: (H, W, 3) BGR uint8.
    """

    def __init__(self, region: tuple[int, int, int, int], image: Image) -> None:
        self.left, self.top, width, height = region
        self.scale = np.array([WIDTH / width, HEIGHT / height])
        part: Image = np.full((height, width, 3), _PAPER, np.uint8)
        rows = slice(max(self.top, 0), min(self.top + height, image.shape[0]))
        columns = slice(max(self.left, 0), min(self.left + width, image.shape[1]))
        inside = image[rows, columns]
        if inside.size:
            y, x = rows.start - self.top, columns.start - self.left
            part[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
        way = cv2.INTER_AREA if width > WIDTH else cv2.INTER_CUBIC
        self.pixels = np.asarray(cv2.resize(part, (WIDTH, HEIGHT), interpolation=way), np.uint8)

    def place(self, points: Floats) -> Floats:
        """Return points (..., 2) of the image, in continuous pixels, as places in the view."""
        placed: Floats = (points - (self.left, self.top)) * self.scale
        return placed


def _region(finding: Finding, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return what a half shows of the image: the people concerned, in its own shape, shifted into the image."""
    scene, points = finding.scene, [np.zeros((0, 2))]
    for entries, row in ((scene.people, finding.person), (scene.found, finding.found)):
        if row is not None:
            joints = poses_of([entries[row]])[0]
            points += [_corners(entries[row]), joints[joints[:, 2] > 0, :2]]
    extent = np.concatenate(points)
    low, high = extent.min(axis=0), extent.max(axis=0)
    # No more than the image's own: around it there is nothing to see.
    sides = np.maximum(np.minimum((1 + 2 * _MARGIN) * (high - low), (shape[1], shape[0])), _LEAST)
    scale = max(sides[0] / WIDTH, sides[1] / HEIGHT)
    width, height = round(scale * WIDTH), round(scale * HEIGHT)
    corner = (low + high) / 2 - (width / 2, height / 2)
    limits = (shape[1] - width, shape[0] - height)
    left, top = (
        min(max(start, 0), limit) if limit >= 0 else limit / 2 for start, limit in zip(corner, limits, strict=True)
    )
    return round(float(left)), round(float(top)), width, height


def _corners(entry: dict[str, Any]) -> Floats:
    """Return the corners (2, 2) of a person's box, (0, 2) for a result that has none."""
    box = entry.get("bbox", entry.get("box"))
    if box is None:
        return np.zeros((0, 2))
    x, y, width, height = box
    return np.array([[x, y], [x + width, y + height]], np.float64)


def _judged(finding: Finding) -> NDArray[np.bool_]:
    """Return the joints (17,) that are compared: of a false person all."""
    if finding.person is None:
        return np.ones(len(COCO17), bool)
    judged: NDArray[np.bool_] = finding.scene.labelled[finding.person]
    return judged


def _half(
    view: _View, entries: list[dict[str, Any]], chosen: int | None, skeleton: Skeleton, judged: NDArray[np.bool_]
) -> Image:
    """Draw one half: everybody there, the person concerned clearly and with a box."""
    canvas = view.pixels.copy()
    joints = poses_of(entries)
    known = joints[..., 2] > 0
    joints[..., :2] = view.place(joints[..., :2] + PIXEL_CENTRE)
    joints[..., 2] = np.where(known, _FAINT, -1)
    if chosen is not None:
        joints[chosen, :, 2] = np.where(known[chosen], np.where(judged, _CLEAR, _FAINT), -1)
    boxes = np.array([_box(view, entry, pose) for entry, pose in zip(entries, joints, strict=True)]).reshape(-1, 4)
    # The best lies on top.
    order = sorted(range(len(entries)), key=lambda row: row != chosen)
    for row in reversed(order):
        if row == chosen or entries[row].get("iscrowd") or not known[row].any():
            draw_box(canvas, boxes[row].astype(np.float32), skeleton.colours["left"] if row == chosen else _GREY)
    people = PoseFrame(boxes[order], np.ones(len(order)), joints[order])  # type: ignore[arg-type]  # it makes float32
    draw_skeletons(canvas, people, threshold=_FAINT, certain=_CLEAR, skeleton=skeleton)
    return canvas


def _box(view: _View, entry: dict[str, Any], pose: Floats) -> Floats:
    corners = view.place(_corners(entry))
    if not len(corners):
        shown = pose[pose[:, 2] >= 0, :2]
        corners = np.array([shown.min(axis=0), shown.max(axis=0)]) if len(shown) else np.zeros((2, 2))
    return corners.ravel()


def _draw_errors(canvas: Image, view: _View, finding: Finding) -> None:
    """Draw lines from the joints that lie far off to where they belong."""
    assert finding.person is not None and finding.found is not None
    scene = finding.scene
    wrong = scene.labelled[finding.person] & (scene.joints[finding.person, finding.found] < CLOSE)
    ends = np.stack(
        [poses_of([entry])[0, wrong, :2] for entry in (scene.found[finding.found], scene.people[finding.person])], 1
    )
    many = len(ends)
    lines = view.place(ends + PIXEL_CENTRE)
    draw_strokes(canvas, lines, np.ones(many), [_ERROR] * many, np.ones(many), np.ones(many), np.zeros(many))


def _title(name: str, skeleton: Skeleton) -> Image:
    words = [(f"{name}:  ", _TEXT), ("left", skeleton.colours["left"]), ("  and right", skeleton.colours["right"])]
    return _strip(words, WIDTH)


def _strip(words: list[tuple[str, Colour]], width: int) -> Image:
    """Return a line of coloured words; text that is too long is cut off."""
    pad = round(0.5 * LETTER)
    strip: Image = np.full((round(LETTER * (1 + DESCENT)) + 2 * pad, width, 3), _PAPER, np.uint8)
    left = pad
    for text, colour in words:
        mask = text_mask(text, LETTER)
        blend(strip[pad:, left:], mask, colour)
        left += mask.shape[1]
    return strip
