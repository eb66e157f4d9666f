"""Drawn people: a jointed figure that walks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gcpose_trt.video.frames import Image

Points = NDArray[np.float64]
Colour = tuple[int, int, int]

_SHIFT = 4  # OpenCV's fixed point: limbs move by fractions of a pixel
_TURN = np.radians(60.0)  # how far a walker turns from the viewer at full speed
# Heights and half widths, in body heights.
_ANKLE, _KNEE, _HIP, _SHOULDER, _NOSE, _EYE, _EAR = 0.045, 0.285, 0.53, 0.815, 0.915, 0.935, 0.925
_HIP_X, _SHOULDER_X = 0.055, 0.105
_THIGH, _SHANK, _UPPER_ARM, _FOREARM = _HIP - _KNEE, _KNEE - _ANKLE, 0.165, 0.15
_HEAD = (0.0, 0.925, 0.01)
_SKIN = ((150, 180, 225), (110, 145, 200), (70, 100, 150), (50, 70, 105))
_SHIRTS = ((60, 60, 190), (180, 110, 40), (70, 150, 70), (200, 200, 205), (40, 160, 210), (150, 70, 130))
_TROUSERS = ((90, 60, 40), (60, 60, 65), (40, 45, 60), (110, 120, 125))
_HAIR = ((25, 30, 40), (35, 55, 85), (70, 110, 150), (120, 120, 125))


@dataclass(frozen=True)
class Mannequin:
    """One walker, whose way and gait are functions of time.

    Attributes:
        height: of the body, pixels.
        floor: y of the feet, pixels.
        centre, reach: x of the way's middle and half its length, pixels.
        period, phase: of the way to and fro, seconds and radians.
        stride: full steps a second.
        skin, shirt, trousers, hair: BGR.
    """

    height: float
    floor: float
    centre: float
    reach: float
    period: float
    phase: float
    stride: float
    skin: Colour
    shirt: Colour
    trousers: Colour
    hair: Colour

    @classmethod
    def random(cls, random: np.random.Generator, number: int, people: int, width: int, height: int) -> Mannequin:
        """Return walker `number` of so many; a higher number is nearer and larger."""
        near = (number + 1) / max(people, 1)
        share = 0.42 + 0.36 * near + random.uniform(-0.04, 0.04)

        def pick(colours: tuple[Colour, ...]) -> Colour:
            return colours[int(random.integers(len(colours)))]

        body = share * min(height, 1.5 * width)
        return cls(
            height=body,
            floor=height * (0.72 + 0.23 * near),
            centre=width * random.uniform(0.4, 0.6),
            reach=max(0.0, 0.5 * width - 0.25 * body) * random.uniform(0.6, 0.9),
            period=random.uniform(9.0, 14.0),
            phase=random.uniform(0, 2 * np.pi),
            stride=random.uniform(0.75, 1.0),
            skin=pick(_SKIN),
            shirt=_SHIRTS[(number + int(random.integers(2)) * 3) % len(_SHIRTS)],
            trousers=pick(_TROUSERS),
            hair=pick(_HAIR),
        )

    def place(self, time_s: float) -> tuple[float, float]:
        """Return x of the body's middle in pixels, and its speed, -1 (to the left) to 1."""
        angle = 2 * np.pi * time_s / self.period + self.phase
        return self.centre + self.reach * float(np.sin(angle)), float(np.cos(angle))

    def joints(self, time_s: float) -> tuple[Points, NDArray[np.float64]]:
        """Return the 17 joints in pixels, (17, 2), and how near each is to the viewer, (17,)."""
        return self.project(_body(self._swing(time_s), 2 * np.pi * self.stride * time_s + self.phase), time_s)

    def project(self, points: Points, time_s: float) -> tuple[Points, NDArray[np.float64]]:
        """Return points of the body (N, 3: to its left, up, forward; in body heights) in pixels, and their nearness."""
        x, speed = self.place(time_s)
        turn = _TURN * speed
        across = points[:, 0] * np.cos(turn) + points[:, 2] * np.sin(turn)
        depth = points[:, 2] * np.cos(turn) - points[:, 0] * np.sin(turn)
        pixels = np.stack((x + self.height * across, self.floor - self.height * points[:, 1]), axis=1)
        return pixels, depth

    def _swing(self, time_s: float) -> float:
        return abs(self.place(time_s)[1])


def _body(swing: float, gait: float) -> Points:
    """Return the 17 joints, in body heights; `swing` is 0 (standing) to 1 (walking), `gait` the phase of the step."""
    joints = np.zeros((17, 3))
    joints[0] = (0.0, _NOSE, 0.075)
    bob = 0.012 * swing * np.cos(2 * gait)
    for side, sign, step in ((0, 1.0, gait), (1, -1.0, gait + np.pi)):
        joints[1 + side] = (sign * 0.02, _EYE, 0.062)
        joints[3 + side] = (sign * 0.05, _EAR, 0.0)
        shoulder, hip = np.array((sign * _SHOULDER_X, _SHOULDER, 0.0)), np.array((sign * _HIP_X, _HIP, 0.0))
        arm = -0.45 * swing * np.sin(step)
        elbow = shoulder + _UPPER_ARM * np.array((sign * 0.18, -np.cos(arm), np.sin(arm)))
        bend = arm + 0.25 + 0.3 * swing
        wrist = elbow + _FOREARM * np.array((sign * 0.05, -np.cos(bend), np.sin(bend)))
        leg = 0.42 * swing * np.sin(step)
        knee = hip + _THIGH * np.array((0.0, -np.cos(leg), np.sin(leg)))
        shank = leg - swing * (0.12 + 0.5 * max(0.0, np.cos(step)))
        ankle = knee + _SHANK * np.array((0.0, -np.cos(shank), np.sin(shank)))
        joints[5 + side], joints[7 + side], joints[9 + side] = shoulder, elbow, wrist
        joints[11 + side], joints[13 + side], joints[15 + side] = hip, knee, ankle
    joints[:, 1] += bob
    return joints


def person_box(person: Mannequin, time_s: float) -> tuple[float, float, float, float]:
    """Return x1, y1, x2, y2 of a drawn person in pixels, also where that is outside the picture."""
    joints, _ = person.joints(time_s)
    side = 0.045 * person.height
    top = joints[0, 1] - 0.085 * person.height
    bottom = joints[15:, 1].max() + 0.045 * person.height
    return float(joints[:, 0].min() - side), float(top), float(joints[:, 0].max() + side), float(bottom)


def draw_person(image: Image, person: Mannequin, time_s: float) -> None:
    """Draw a person into a picture, with a shadow on the floor."""
    joints, depth = person.joints(time_s)
    _draw_shadow(image, person, time_s)
    near_left = depth[5] > depth[6]
    far, close = (1, 0) if near_left else (0, 1)
    _draw_arm(image, person, joints, far)
    _draw_leg(image, person, joints, far, time_s)
    _draw_leg(image, person, joints, close, time_s)
    _draw_torso(image, person, joints)
    _draw_head(image, person, time_s)
    _draw_arm(image, person, joints, close)


def _draw_shadow(image: Image, person: Mannequin, time_s: float) -> None:
    x, _ = person.place(time_s)
    wide, high = int(0.22 * person.height), max(1, int(0.035 * person.height))
    left, top = max(0, int(x) - wide), max(0, int(person.floor) - high)
    part = image[top : max(0, int(person.floor) + high), left : max(0, int(x) + wide)]
    if not part.size:
        return
    rows = (np.arange(top, top + part.shape[0]) - person.floor)[:, None] / high
    columns = (np.arange(left, left + part.shape[1]) - x)[None] / wide
    shade = 1.0 - 0.45 * np.clip(1.0 - rows**2 - columns**2, 0, 1)
    part[:] = (part * shade[..., None]).astype(np.uint8)


def _draw_leg(image: Image, person: Mannequin, joints: Points, side: int, time_s: float) -> None:
    hip, knee, ankle = joints[11 + side], joints[13 + side], joints[15 + side]
    size = person.height
    _draw_shoe(image, person, ankle, time_s)
    _capsule(image, knee, ankle, 0.042 * size, 0.03 * size, person.trousers)
    _capsule(image, hip, knee, 0.06 * size, 0.044 * size, person.trousers)


def _draw_shoe(image: Image, person: Mannequin, ankle: Points, time_s: float) -> None:
    _, speed = person.place(time_s)
    toe = np.array((0.085 * np.sin(_TURN * speed), 0.02 + 0.025 * np.cos(_TURN * speed))) * person.height
    heel = np.array((0.0, 0.018)) * person.height
    _capsule(image, ankle + heel, ankle + toe, 0.026 * person.height, 0.02 * person.height, (35, 35, 40))


def _draw_torso(image: Image, person: Mannequin, joints: Points) -> None:
    size = person.height
    shoulders, hips = joints[5:7], joints[11:13]
    neck = shoulders.mean(axis=0)
    _capsule(image, neck, neck - (0, 0.06 * size), 0.034 * size, 0.03 * size, _shaded(person.skin, 0.85))
    _capsule(image, hips[0], hips[1], 0.058 * size, 0.058 * size, person.trousers)
    corners = np.concatenate((shoulders + np.array((0, 0.01 * size)), hips))
    middle = corners.mean(axis=0)
    for grow, shade in ((0.05, 0.8), (0.042, 0.95), (0.022, 1.08)):
        _hull(image, corners, grow * size, _shaded(person.shirt, shade))
    fold = np.array((0.0, 0.05 * size))
    _capsule(image, middle - fold, middle + fold, 0.006 * size, 0.002 * size, _shaded(person.shirt, 0.85))


def _draw_arm(image: Image, person: Mannequin, joints: Points, side: int) -> None:
    size = person.height
    shoulder, elbow, wrist = joints[5 + side], joints[7 + side], joints[9 + side]
    hand = wrist + 0.3 * (wrist - elbow)
    _capsule(image, wrist, hand, 0.022 * size, 0.018 * size, person.skin)
    _capsule(image, elbow, wrist, 0.026 * size, 0.02 * size, person.skin)
    _capsule(image, shoulder, elbow, 0.04 * size, 0.032 * size, person.shirt)


def _draw_head(image: Image, person: Mannequin, time_s: float) -> None:
    size = person.height
    # Skull, hair and face are points of the body like the joints, so that they turn with it.
    nose, left_eye, right_eye, left_ear, right_ear = _body(person._swing(time_s), _gait(person, time_s))[:5]
    lift = nose[1] - _NOSE
    skull = np.array(_HEAD) + np.array((0, lift, 0))
    marks = np.stack((skull, skull + np.array((0, 0.022, -0.014)), nose, left_eye, right_eye, left_ear, right_ear))
    mouth = skull + np.array((0, -0.042, 0.06))
    points, depth = person.project(np.vstack((marks, mouth)), time_s)
    head, hair = points[0], points[1]
    _ellipse(image, hair, (0.056 * size, 0.066 * size), person.hair)
    _ellipse(image, head + np.array((0, 0.012 * size)), (0.047 * size, 0.062 * size), person.skin)
    forward = points[2] - head
    _ellipse(image, hair - 0.15 * forward - (0, 0.032 * size), (0.05 * size, 0.03 * size), person.hair)
    for ear in (5, 6):
        if depth[ear] > -0.03:
            _ellipse(image, points[ear], (0.011 * size, 0.018 * size), _shaded(person.skin, 0.85))
    for eye in (3, 4):
        _ellipse(image, points[eye] - (0, 0.014 * size), (0.012 * size, 0.003 * size), person.hair)
        _ellipse(image, points[eye], (0.0095 * size, 0.0055 * size), (235, 235, 235))
        _ellipse(image, points[eye], (0.005 * size, 0.0055 * size), (30, 30, 30))
    _ellipse(image, points[2] - (0, 0.006 * size), (0.007 * size, 0.014 * size), _shaded(person.skin, 0.88))
    _ellipse(image, points[2] + (0, 0.006 * size), (0.01 * size, 0.005 * size), _shaded(person.skin, 0.75))
    _ellipse(image, points[7], (0.016 * size, 0.005 * size), (80, 80, 160))


def _gait(person: Mannequin, time_s: float) -> float:
    return 2 * np.pi * person.stride * time_s + person.phase


def _shaded(colour: Colour, factor: float) -> Colour:
    blue, green, red = (int(min(255, part * factor)) for part in colour)
    return blue, green, red


def _capsule(image: Image, start: Points, end: Points, first: float, second: float, colour: Colour) -> None:
    """Draw a limb that is round at both ends and lighter along its middle."""
    for narrow, shade in ((1.0, 0.82), (0.65, 1.05)):
        drawn = _shaded(colour, shade)
        _cone(image, start, end, first * narrow, second * narrow, drawn)


def _cone(image: Image, start: Points, end: Points, first: float, second: float, colour: Colour) -> None:
    # Plain numbers: NumPy takes longer to begin than these few take.
    (x1, y1), (x2, y2) = start.tolist(), end.tolist()
    length = max(math.hypot(x2 - x1, y2 - y1), 1e-6)
    across, down = (y1 - y2) / length, (x2 - x1) / length
    corners = (
        (x1 + first * across, y1 + first * down),
        (x2 + second * across, y2 + second * down),
        (x2 - second * across, y2 - second * down),
        (x1 - first * across, y1 - first * down),
    )
    outline = np.array([(_fixed(x), _fixed(y)) for x, y in corners], np.int32)
    cv2.fillConvexPoly(image, outline, colour, cv2.LINE_AA, _SHIFT)
    _ellipse(image, (x1, y1), (first, first), colour)
    _ellipse(image, (x2, y2), (second, second), colour)


def _hull(image: Image, corners: Points, grow: float, colour: Colour) -> None:
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    circle = grow * np.stack((np.cos(angles), np.sin(angles)), axis=1)
    points = (corners[:, None] + circle).reshape(-1, 2)
    outline = cv2.convexHull(np.rint((points - 0.5) * 2**_SHIFT).astype(np.int32))
    cv2.fillConvexPoly(image, outline, colour, cv2.LINE_AA, _SHIFT)


def _ellipse(image: Image, centre: Points | tuple[float, float], radii: tuple[float, float], colour: Colour) -> None:
    x, y = centre
    axes = (max(1, round(radii[0] * 2**_SHIFT)), max(1, round(radii[1] * 2**_SHIFT)))
    cv2.ellipse(image, (_fixed(x), _fixed(y)), axes, 0, 0, 360, colour, -1, cv2.LINE_AA, _SHIFT)


def _fixed(position: float) -> int:
    # OpenCV counts from a pixel's centre, poses from its corner.
    return round((float(position) - 0.5) * 2**_SHIFT)
