"""PyAV, which reads and writes video."""

from __future__ import annotations

from collections.abc import Iterator

from gcpose_trt.doctor.check import Check, green, red, yellow
from gcpose_trt.doctor.machine import Situation

_INSTALL = "pip install --force-reinstall av"


def check(situation: Situation) -> Iterator[Check]:
    """Load PyAV and look for an H.264 encoder."""
    if situation.probe.module("av") is None:
        yield red("PyAV", "not installed", "pip install av")
        return
    result = situation.probe.inspect("pyav")
    if result.error:
        yield red("PyAV", f"cannot be loaded: {result.error}", _INSTALL)
        return
    facts = result.facts
    ffmpeg = (
        f"FFmpeg {facts['ffmpeg']}" if facts.get("ffmpeg") else f"libavcodec {facts['libraries'].get('libavcodec')}"
    )
    text = f"{facts['version']} with {ffmpeg}"
    if facts["encoders"]:
        yield green("PyAV", f"{text}, H.264 by {facts['encoders'][0]}", **facts)
    else:
        yield yellow("PyAV", f"{text}, no H.264 encoder: videos are written as MPEG-4", _INSTALL, **facts)
