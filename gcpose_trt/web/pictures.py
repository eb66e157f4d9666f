"""Frames as JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.drawing import draw_poses
from gcpose_trt.pose.skeleton import Skeleton
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.video.frames import Image

BOUNDARY = "gcpose-frame"
_SNAPSHOT_QUALITY = 92


def jpeg(image: Image, quality: int) -> bytes:
    """Return an image (H, W, 3), BGR uint8, as JPEG.

    Raises:
        GcposeError: OpenCV cannot encode it.
    """
    try:
        done, encoded = cv2.imencode(".jpg", np.ascontiguousarray(image), [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise GcposeError(f"a frame of shape {image.shape} does not become a JPEG; use frames of uint8 BGR") from error
    if not done:
        raise GcposeError(f"a frame of shape {image.shape} does not become a JPEG; use smaller frames")
    return encoded.tobytes()


def part(image: Image, frame: int, sequence: int, quality: int) -> bytes:
    """Return one part of the video stream: headers, picture, and the boundary of the next.

    The boundary goes with the picture before it: a browser shows a part when it sees that it is complete.

    Args:
        image: (H, W, 3), BGR uint8.
        frame: its index in the source.
        sequence: its number among the published ones.
        quality: of the JPEG, 1..100.
    """
    picture = jpeg(image, quality)
    head = (
        f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n"
        f"X-Frame: {frame}\r\nX-Sequence: {sequence}\r\n\r\n"
    )
    return b"".join((head.encode(), picture, f"\r\n--{BOUNDARY}\r\n".encode()))


def snapshot(image: Image, poses: PoseFrame, plain: bool, threshold: float, skeleton: Skeleton) -> bytes:
    """Return an image (H, W, 3), BGR uint8, as a JPEG to keep, with the people on it unless it is to be `plain`."""
    if not plain:
        image = draw_poses(image, poses, keypoint_threshold=threshold, skeleton=skeleton)
    return jpeg(image, _SNAPSHOT_QUALITY)
