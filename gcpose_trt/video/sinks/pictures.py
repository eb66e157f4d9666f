"""The drawn picture of a result."""

from __future__ import annotations

from collections.abc import Callable

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.video.frames import Image, Result

Draw = Callable[[Image, PoseFrame], Image]


def picture_of(result: Result, draw: Draw | None = None) -> Image:
    """Return the picture of a result, (H, W, 3) BGR uint8.

    Args:
        result: a frame, its people, and its picture unless `draw` makes that.
        draw: makes the picture from an image and its poses, for whoever has no pipeline that draws.

    Raises:
        GcposeError: there is neither. The plain frame is no substitute: heads may have to be blurred.
    """
    if draw is not None:
        return draw(result.frame.image, result.poses)
    if result.picture is None:
        raise GcposeError(
            f"frame {result.frame.index} of {result.frame.source} comes without a picture; "
            "pass Result(..., picture=draw_poses(image, poses))"
        )
    return result.picture
