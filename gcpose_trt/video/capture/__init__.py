"""Where frames come from: cameras, streams, files, pipelines and a drawn test pattern, all read in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gcpose_trt.video.capture.uri import GRAMMAR, CaptureOptions

if TYPE_CHECKING:
    from gcpose_trt.video.capture.opening import open_capture

__all__ = ["GRAMMAR", "CaptureOptions", "open_capture"]


def __getattr__(name: str) -> Any:
    # The command's help shows the grammar, and must not wait for OpenCV and FFmpeg to be loaded.
    if name == "open_capture":
        from gcpose_trt.video.capture.opening import open_capture

        return open_capture
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
