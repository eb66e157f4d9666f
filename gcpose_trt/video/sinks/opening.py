"""From what a user names as an output to the sinks that write it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from gcpose_trt.video.frames import Sink
from gcpose_trt.video.live.outputs import Output
from gcpose_trt.video.live_types import Capture
from gcpose_trt.video.sinks.coco_results import CocoResultsSink
from gcpose_trt.video.sinks.csv_table import CsvSink
from gcpose_trt.video.sinks.images import ImageSink
from gcpose_trt.video.sinks.json_lines import JsonLinesSink
from gcpose_trt.video.sinks.mp4 import Mp4Sink
from gcpose_trt.video.sinks.naming import Planned, stream_names
from gcpose_trt.video.sinks.publish import MqttSink

_RATE = 25.0  # frames a second of a source that does not say


def open_outputs(
    planned: Sequence[Planned],
    captures: Sequence[Capture],
    *,
    segment_minutes: float | None = None,
    every: float = 0.0,
    log: Callable[[str], object] | None = None,
) -> list[Output]:
    """Return the sinks of outputs, as a `LivePipeline` takes them. Nothing is written yet, but it could be.

    Args:
        planned: see `gcpose_trt.video.sinks.naming.plan_outputs`.
        captures: the sources, in the order of their `Frame.stream`.
        segment_minutes: see `Mp4Sink`.
        every: seconds between the pictures of a clip or camera in a folder of images, see `ImageSink`.
        log: takes lines about connections that are lost and made again.

    Raises:
        GcposeError: one of them cannot be written, or a broker cannot be reached.
    """
    names = stream_names(captures)
    several = names if len(captures) > 1 else ()
    outputs: list[Output] = []
    # Brokers last: a connection that was made would outlive the failure of a later file.
    for plan in sorted(planned, key=lambda plan: plan.path is None):
        sink: Sink
        if plan.path is None:
            sink = MqttSink(plan.address, several, log)
        else:
            capture = captures[plan.stream or 0]
            sink = _file_sink(plan, plan.path, capture, several, segment_minutes, every)
        name = plan.kind if plan.stream is None or not several else f"{plan.kind} {names[plan.stream]}"
        taken = sum(output.name == name or output.name.startswith(f"{name} #") for output in outputs)
        label = f"{name} #{taken + 1}" if taken else name
        outputs.append(Output(label, sink, plan.stream, lossless=plan.path is not None))
    return outputs


def _file_sink(
    plan: Planned,
    path: Path,
    capture: Capture,
    names: Sequence[str],
    segment_minutes: float | None,
    every: float,
) -> Sink:
    if plan.kind == "mp4":
        return Mp4Sink(path, capture.rate or _RATE, segment_minutes=segment_minutes)
    if plan.kind == "image":
        return ImageSink(path, folder=False)
    if plan.kind == "images":
        return ImageSink(path, folder=True, suffix=plan.suffix, every=every)
    if plan.kind == "csv":
        return CsvSink(path)
    if plan.kind == "coco":
        return CocoResultsSink(path)
    return JsonLinesSink(path, names)
