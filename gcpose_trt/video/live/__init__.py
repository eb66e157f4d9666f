"""The live system: stages in threads, joined by bounded queues."""

from gcpose_trt.video.live.outputs import Output
from gcpose_trt.video.live.pipeline import LivePipeline
from gcpose_trt.video.live.summary import Summary

__all__ = ["LivePipeline", "Output", "Summary"]
