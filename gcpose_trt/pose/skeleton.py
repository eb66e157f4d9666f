"""The body's joints and how they hang together, as data.

Sides are the person's own, not the viewer's: `left` joints of a person facing the camera are on the picture's right.
"""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Skeleton:
    """A set of joints.

    Attributes:
        names: the joints, in the order of a PoseFrame's keypoints.
        limbs: pairs of joints joined by a line, in the order in which they are drawn.
        flip_pairs: joints that change places when the picture is mirrored.
        sigmas: spread of each joint in object keypoint similarity (OKS), a fraction of the person's size.
        colours: BGR colour of the "left", "right" and "centre" of the body.
    """

    names: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]
    flip_pairs: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...]
    colours: dict[str, Colour]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def flip_order(self) -> tuple[int, ...]:
        """For each joint, the joint that takes its place in a mirrored picture."""
        order = list(range(len(self)))
        for left, right in self.flip_pairs:
            order[left], order[right] = right, left
        return tuple(order)

    def side(self, joint: int) -> str:
        """Return "left", "right" or "centre"."""
        side = self.names[joint].partition("_")[0]
        return side if side in ("left", "right") else "centre"

    def joint_colour(self, joint: int) -> Colour:
        """Return the BGR colour of a joint."""
        return self.colours[self.side(joint)]

    def limb_colour(self, limb: tuple[int, int]) -> Colour:
        """Return the BGR colour of a limb: a side's where the limb lies on one side, else the centre's.

        A limb from the nose to an eye belongs to the eye's side.
        """
        sides = {self.side(joint) for joint in limb} - {"centre"}
        return self.colours[sides.pop()] if len(sides) == 1 else self.colours["centre"]


# Joints, order and sigmas as defined by COCO (cocodataset.org, keypoint task and its evaluation).
COCO17 = Skeleton(
    names=(
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    ),
    limbs=(
        (5, 6),
        (11, 12),
        (5, 11),
        (6, 12),
        (11, 13),
        (13, 15),
        (12, 14),
        (14, 16),
        (5, 7),
        (7, 9),
        (6, 8),
        (8, 10),
        (0, 1),
        (0, 2),
        (1, 3),
        (2, 4),
        (3, 5),
        (4, 6),
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    sigmas=(
        *(0.026, 0.025, 0.025, 0.035, 0.035),
        *(0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
        *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
    ),
    # Blue and orange stay apart for colour-blind eyes, and both stand out from skin, grass and asphalt.
    colours={"left": (255, 176, 36), "right": (40, 132, 255), "centre": (236, 240, 238)},
)
