"""Where frames come from: cameras, streams, files, pipelines and a drawn test pattern, all read in the same way."""

from gcpose_trt.video.capture.opening import open_capture
from gcpose_trt.video.capture.uri import GRAMMAR, CaptureOptions

__all__ = ["GRAMMAR", "CaptureOptions", "open_capture"]
