"""The JSON that server and page say to each other."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import gcpose_trt
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.skeleton import Colour, Skeleton
from gcpose_trt.video.frames import Result
from gcpose_trt.video.live_types import Controls, Settings
from gcpose_trt.web.limits import one_line

PROTOCOL = 1


def to_json(value: Any) -> str:
    """Return JSON. Numbers that JSON does not have, such as infinity, become null."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return value


def from_json(text: str | bytes) -> dict[str, Any]:
    """Return the object that a client sent.

    Raises:
        GcposeError: not JSON, or not an object.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise GcposeError("the message is not JSON; send an object") from error
    if not isinstance(value, dict):
        raise GcposeError("the message is not an object; send one in braces")
    return value


def _no_constant(name: str) -> float:
    # Python reads NaN and Infinity, which JSON does not have.
    raise ValueError(name)


def change(controls: Controls, changes: dict[str, Any]) -> Settings:
    """Change settings as a client asks.

    Raises:
        GcposeError: see `Controls.update`; the message is one line of bounded length.
    """
    known = asdict(controls.settings)
    for name in changes:
        # Before they become keyword arguments, of which "self" would be another.
        if name not in known:
            raise GcposeError(f"there is no setting {one_line(repr(name), 60)}; choose from {', '.join(known)}")
    try:
        return controls.update(**changes)
    except GcposeError as error:
        raise GcposeError(one_line(error)) from error


def settings_message(settings: Settings) -> str:
    """Return the message that tells the settings."""
    return to_json({"type": "settings", "settings": asdict(settings)})


def error_message(error: object) -> str:
    """Return the message that tells a client what was wrong with its own."""
    return to_json({"type": "error", "message": one_line(error)})


def hello_message(
    skeleton: Skeleton, threshold: float, sources: list[str], source: int, settings: Settings, login: bool
) -> str:
    """Return the first message to a page: what it needs to draw people and to show its controls."""
    return to_json(
        {
            "type": "hello",
            "protocol": PROTOCOL,
            "version": gcpose_trt.__version__,
            "login": login,
            "source": source,
            "sources": sources,
            "settings": asdict(settings),
            "keypoint_threshold": threshold,
            # As in the drawing: a heatmap's softmax peak is well below 1 even where the joint is plain to see.
            "certain": min(1.0, 6 * threshold),
            "skeleton": {
                "names": skeleton.names,
                "edges": skeleton.limbs,
                "sides": [skeleton.side(joint) for joint in range(len(skeleton))],
                "edge_sides": [_limb_side(skeleton, limb) for limb in skeleton.limbs],
                "colours": {side: _css(colour) for side, colour in skeleton.colours.items()},
            },
        }
    )


def _limb_side(skeleton: Skeleton, limb: tuple[int, int]) -> str:
    colour = skeleton.limb_colour(limb)
    return next(side for side, of_side in skeleton.colours.items() if of_side == colour)


def _css(colour: Colour) -> str:
    blue, green, red = colour
    return f"#{red:02x}{green:02x}{blue:02x}"


def frame_message(result: Result, sequence: int) -> str:
    """Return the message of one frame."""
    frame = result.frame
    height, width = frame.image.shape[:2]
    timing = result.timing
    return to_json(
        {
            "type": "frame",
            "source": frame.stream,
            "sequence": sequence,
            "frame": frame.index,
            "width": width,
            "height": height,
            "time": frame.time_s,
            "unix_time": result.unix_time,
            "latency_ms": None if result.latency_ms is None else round(result.latency_ms, 2),
            "network_ms": None if timing is None else round(timing.network, 2),
            **result.poses.to_dict(),
        }
    )
