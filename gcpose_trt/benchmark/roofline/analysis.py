"""Each node and each stage of a network against its floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.benchmark.roofline.ceilings import Ceilings
from gcpose_trt.benchmark.roofline.counting import Call, Value, Work, count
from gcpose_trt.benchmark.roofline.graphs import Optimised
from gcpose_trt.benchmark.roofline.profiling import Measured
from gcpose_trt.benchmark.roofline.shapes import calls
from gcpose_trt.benchmark.roofline.stages import STAGES


@dataclass(frozen=True)
class Line:
    """A node, a stage or the whole network; times are milliseconds.

    Attributes:
        graph: "detector", "pose", or "" for both.
        name: of the node or the stage.
        nodes: how many.
        operations, integer_operations: in float32 or other, in products of integers.
        bytes: read and written, node by node.
        operations_time, bytes_time: what these need at the ceilings.
        floor: the longer of the two, node by node.
        calls_time: what calling nodes that do nothing takes; no part of the floor.
        median, fastest: of the measured times over the runs; None: not measured.
        op, shape, stage: of a node.
        module: of the network that a node with weights is; "" for others.
    """

    graph: str
    name: str
    nodes: int
    operations: int
    integer_operations: int
    bytes: int
    operations_time: float
    bytes_time: float
    floor: float
    calls_time: float
    median: float | None
    fastest: float | None
    op: str = ""
    shape: str = ""
    stage: str = ""
    module: str = ""

    @property
    def intensity(self) -> float | None:
        """Operations a byte; None where nothing is moved."""
        return (self.operations + self.integer_operations) / self.bytes if self.bytes else None

    @property
    def over_floor(self) -> float | None:
        """Measured time in parts of the floor; None without one of the two."""
        return self.median / self.floor if self.floor and self.median is not None else None

    @property
    def bound(self) -> str:
        """What asks for the most time at the ceilings: "operations", "bytes" or "calls"."""
        times = {"operations": self.operations_time, "bytes": self.bytes_time, "calls": self.calls_time}
        return max(times, key=lambda name: times[name])


@dataclass(frozen=True)
class Analysis:
    """A network against its floor.

    Attributes:
        layers: every node.
        stages: in the order in which they run.
        total: of all nodes; its times are the sums of a run's node times.
        plain: median milliseconds of the network without a profile.
        plain_spread: distance between the quartiles in parts of that.
        profiled: median milliseconds of whole profiled runs, with what passes between the nodes.
        assumed: types of nodes that no formula counts; one operation a result was taken.
    """

    layers: Sequence[Line]
    stages: Sequence[Line]
    total: Line
    plain: float
    plain_spread: float
    profiled: float
    assumed: Sequence[str]


def analyse(graphs: Sequence[Optimised], measured: Measured, ceilings: Ceilings) -> Analysis:
    """Put counts, ceilings and times together."""
    layers: list[Line] = []
    stages: list[Line] = []
    runs: list[NDArray[np.float64]] = []
    assumed: set[str] = set()
    for graph in graphs:
        profile = measured.profiles[graph.name]
        nodes = calls(graph, profile.made, profile.feeds)
        works = {name: count(call) for name, call in nodes.items()}
        places = {
            node.name: (stage, graph.origin.module(node) or "")
            for node, stage in zip(graph.model.graph.node, graph.stages, strict=True)
        }
        assumed |= {nodes[name].op for name, work in works.items() if not work.known}
        times = {name: profile.milliseconds[:, place] for place, name in enumerate(profile.names)}
        own = {
            name: _layer(graph.name, name, nodes[name], works[name], places[name], times, ceilings) for name in nodes
        }
        layers += own.values()
        stages += _stages(graph.name, own, times)
        runs.append(profile.milliseconds.sum(1))
    plain = np.sum([measured.plain[graph.name] for graph in graphs], 0)
    low, middle, high = np.percentile(plain, [25, 50, 75])
    return Analysis(
        layers,
        stages,
        _together("", "network", layers, np.sum(runs, 0)),
        float(middle),
        float((high - low) / middle),
        float(np.median(np.sum([measured.profiles[graph.name].runs for graph in graphs], 0))),
        sorted(assumed),
    )


def _layer(
    graph: str,
    name: str,
    call: Call,
    work: Work,
    place: tuple[str, str],
    times: Mapping[str, NDArray[np.float64]],
    ceilings: Ceilings,
) -> Line:
    operations, moved = ceilings.times(work)
    took = times.get(name)
    return Line(
        graph,
        name,
        1,
        0 if work.integer else work.operations,
        work.operations if work.integer else 0,
        work.bytes,
        operations,
        moved,
        max(operations, moved),
        1e3 / ceilings.calls.best,
        None if took is None else float(np.median(took)),
        None if took is None else float(took.min()),
        call.op,
        _shape(call),
        *place,
    )


def _shape(call: Call) -> str:
    """Return a node's first input and first output in words, and the window of a convolution."""

    def words(value: Value | None) -> str:
        return "x".join(map(str, value.shape)) or "1" if value is not None else "-"

    window = call.attributes.get("kernel_shape")
    group = call.attributes.get("group", 1)
    between = f" {'x'.join(map(str, window))}" if window else ""
    grouped = f"/{group}" if group > 1 else ""
    return f"{words(call.inputs[0] if call.inputs else None)}{between}{grouped} -> {words(call.output)}"


def _stages(graph: str, layers: Mapping[str, Line], times: Mapping[str, NDArray[np.float64]]) -> list[Line]:
    result = []
    for stage in STAGES[graph]:
        members = [line for line in layers.values() if line.stage == stage]
        if members:
            took = [times[line.name] for line in members if line.name in times]
            result.append(_together(graph, stage, members, np.sum(took, 0) if took else None))
    return result


def _together(graph: str, name: str, members: Sequence[Line], took: NDArray[np.float64] | None) -> Line:
    """Return the sum of some nodes.

    Args:
        graph, name: of the sum.
        members: its nodes.
        took: (runs,) milliseconds of all of them: the median of sums, not the sum of medians.
    """
    return Line(
        graph,
        name,
        len(members),
        sum(line.operations for line in members),
        sum(line.integer_operations for line in members),
        sum(line.bytes for line in members),
        sum(line.operations_time for line in members),
        sum(line.bytes_time for line in members),
        sum(line.floor for line in members),
        sum(line.calls_time for line in members),
        None if took is None else float(np.median(took)),
        None if took is None else float(took.min()),
    )
