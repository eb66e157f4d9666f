"""The skeleton's tables hang together."""

from __future__ import annotations

import numpy as np

from gcpose_trt.pose import COCO17


def test_flip_order_swaps_the_sides_and_is_its_own_inverse() -> None:
    order = np.array(COCO17.flip_order)
    np.testing.assert_array_equal(order[order], np.arange(17))
    for joint, other in enumerate(order):
        name = COCO17.names[joint]
        swap = {"left": "right", "right": "left"}
        side, _, part = name.partition("_")
        assert COCO17.names[other] == (f"{swap[side]}_{part}" if part else name)


def test_every_joint_hangs_on_a_limb() -> None:
    assert {joint for limb in COCO17.limbs for joint in limb} == set(range(17))
    assert len(COCO17.sigmas) == len(COCO17.names) == 17


def test_sides_are_mirror_images() -> None:
    order = COCO17.flip_order
    assert all(COCO17.sigmas[joint] == COCO17.sigmas[other] for joint, other in enumerate(order))
    limbs = {frozenset(limb) for limb in COCO17.limbs}
    assert {frozenset((order[a], order[b])) for a, b in limbs} == limbs


def test_colours_tell_the_sides_apart() -> None:
    names = COCO17.names
    assert COCO17.joint_colour(names.index("left_knee")) == COCO17.colours["left"]
    assert COCO17.joint_colour(names.index("nose")) == COCO17.colours["centre"]
    assert COCO17.limb_colour((6, 8)) == COCO17.colours["right"]
    assert COCO17.limb_colour((5, 6)) == COCO17.colours["centre"]  # shoulder to shoulder
    assert COCO17.limb_colour((0, 1)) == COCO17.colours["left"]  # nose to left eye
