"""The tables of a report, the same for Markdown and HTML; None where a section was not measured."""

from gcpose_trt.benchmark.reporting.tables.machine import contenders, facts, left_out, snapshots
from gcpose_trt.benchmark.reporting.tables.quality import accuracy, energy, parity
from gcpose_trt.benchmark.reporting.tables.timing import latency, people, sizes, stages, start, throughput

__all__ = [
    "accuracy",
    "contenders",
    "energy",
    "facts",
    "latency",
    "left_out",
    "parity",
    "people",
    "sizes",
    "snapshots",
    "stages",
    "start",
    "throughput",
]
