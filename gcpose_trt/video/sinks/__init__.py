"""Where results go: files of poses, pictures and clips, a window, a broker. Any number of them at once.

Each sink is a context manager with `write(result)` and `needs_picture`, see `gcpose_trt.video.frames.Sink`. Leaving it
normally or by KeyboardInterrupt completes what was written; leaving it by another exception removes what would be
incomplete.
"""

from gcpose_trt.video.sinks.coco_results import CocoResultsSink
from gcpose_trt.video.sinks.csv_table import CsvSink
from gcpose_trt.video.sinks.images import ImageSink
from gcpose_trt.video.sinks.json_lines import SCHEMA, JsonLinesSink
from gcpose_trt.video.sinks.mp4 import Mp4Sink
from gcpose_trt.video.sinks.publish import MqttSink
from gcpose_trt.video.sinks.window import WindowSink

__all__ = [
    "SCHEMA",
    "CocoResultsSink",
    "CsvSink",
    "ImageSink",
    "JsonLinesSink",
    "Mp4Sink",
    "MqttSink",
    "WindowSink",
]
