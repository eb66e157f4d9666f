"""The drawn picture of a result."""

from __future__ import annotations

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.frames import Image, Result


def picture_of(result: Result) -> Image:
    """Return the picture of a result, (H, W, 3) BGR uint8.

    Raises:
        GcposeError: there is none. The plain frame is no substitute: heads may have to be blurred.
    """
    if result.picture is None:
        raise GcposeError(
            f"frame {result.frame.index} of {result.frame.source} comes without a picture; "
            "pass Result(..., picture=draw_poses(image, poses))"
        )
    return result.picture
