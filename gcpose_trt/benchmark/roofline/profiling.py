"""Times of every node over repeated runs, next to runs without a profile."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from gcpose_trt.benchmark.crowd import crowd
from gcpose_trt.benchmark.roofline.counting import Value
from gcpose_trt.benchmark.roofline.graphs import Optimised
from gcpose_trt.benchmark.roofline.sessions import open_session
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.backends.onnxruntime_backend import (
    DETECTOR_OUTPUTS,
    POSE_OUTPUTS,
    OnnxRuntimeBackend,
)
from gcpose_trt.runtime.preprocess import Image, Letterbox, place

WARMUP = 3  # runs before the first that counts: memory is allocated, weights come into the caches
_ENDING = "_kernel_time"


@dataclass(frozen=True)
class Profile:
    """One graph's profile.

    Attributes:
        names: of the nodes.
        milliseconds: (runs, nodes).
        runs: (runs,) milliseconds of whole runs, as the profile tells them.
        made: outputs of each node.
        feeds: inputs of the graph.
    """

    names: list[str]
    milliseconds: NDArray[np.float64]
    runs: NDArray[np.float64]
    made: Mapping[str, Sequence[Value]]
    feeds: Mapping[str, Value]


@dataclass(frozen=True)
class Measured:
    """Both graphs.

    Attributes:
        profiles: by graph; without "pose" if there is nobody.
        plain: (runs,) milliseconds of each graph without a profile, in turn with the profiled runs.
    """

    profiles: Mapping[str, Profile]
    plain: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


def measure(
    backend: OnnxRuntimeBackend,
    graphs: Sequence[Optimised],
    frame: Image,
    box: Letterbox,
    people: int,
    threads: int,
    repeats: int,
) -> Measured:
    """Run the runtime's own sessions and profiled ones in turn.

    Args:
        backend: runs without a profile.
        graphs: detector and, if there are people, pose.
        frame: BGR uint8, letterboxed by `box`.
        people: boxes for the pose network, of assorted sizes, the same in every run.
        threads: of one inference.
        repeats: runs that count.
    """
    image = np.zeros((1, *box.canvas, 3), np.uint8)
    place(frame, box, image[0])
    size = np.array([box.content], np.int64)
    boxes, index = crowd(people, *box.content), np.zeros(people, np.int64)
    folder = graphs[0].path.parent
    sessions = {
        graph.name: open_session(graph.path, threads, optimise=False, profile=folder / graph.name) for graph in graphs
    }
    plain: dict[str, list[float]] = {graph.name: [] for graph in graphs}

    def run_plain(counts: bool) -> None:
        start = time.perf_counter()
        found = backend.detect(image, size)
        middle = time.perf_counter()
        if people:
            backend.pose(found.p2, boxes, index)
        end = time.perf_counter()
        if counts:
            for name, seconds in zip(plain, (middle - start, end - middle), strict=False):
                plain[name].append(1e3 * seconds)

    def run_profiled() -> None:
        feeds = {"image": _value(image), "image_size": _value(size)}
        p2 = sessions["detector"].run_with_ort_values(DETECTOR_OUTPUTS, feeds)[0]
        if people:
            feeds = {"p2": p2, "boxes": _value(boxes), "batch_index": _value(index)}
            sessions["pose"].run_with_ort_values(POSE_OUTPUTS, feeds)

    for turn in range(-WARMUP, repeats):
        for profiled in (False, True) if turn % 2 else (True, False):  # who comes second finds the other's caches
            if profiled:
                run_profiled()
            else:
                run_plain(turn >= 0)
    files = {name: Path(session.end_profiling()) for name, session in sessions.items()}
    feeds = {"image": Value(image.shape, "uint8"), "image_size": Value(size.shape, "int64")}
    profiles = {"detector": read_profile(files["detector"], feeds, WARMUP)}
    if people:
        feeds = {
            "p2": _p2(graphs[0], profiles["detector"]),
            "boxes": Value(boxes.shape),
            "batch_index": Value(index.shape, "int64"),
        }
        profiles["pose"] = read_profile(files["pose"], feeds, WARMUP)
    return Measured(profiles, {name: np.array(values) for name, values in plain.items()})


def _value(array: NDArray[Any]) -> ort.OrtValue:
    return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))


def _p2(detector: Optimised, profile: Profile) -> Value:
    for node in detector.model.graph.node:
        if "p2" in node.output:
            return profile.made[node.name][list(node.output).index("p2")]
    raise GcposeError(f"{detector.name} does not return p2; export the model again")


def read_profile(path: Path, feeds: Mapping[str, Value], skip: int = 0) -> Profile:
    """Read what ONNX Runtime wrote.

    Args:
        path: its JSON.
        feeds: inputs of the graph.
        skip: runs at the beginning that are left out.

    Raises:
        GcposeError: no run is in it.
    """
    events: list[dict[str, Any]] = json.loads(path.read_text())
    runs = [event for event in events if event.get("cat") == "Session" and event["name"] == "model_run"][skip:]
    if not runs:
        raise GcposeError("ONNX Runtime wrote no times of nodes; update it with pip install -U onnxruntime")
    starts = np.array([event["ts"] for event in runs])
    made: dict[str, list[Value]] = {}
    rows: list[dict[str, float]] = [{} for _ in runs]
    for event in events:
        if event.get("cat") != "Node" or not event["name"].endswith(_ENDING):
            continue
        name = event["name"].removesuffix(_ENDING)
        made.setdefault(name, _values(event["args"].get("output_type_shape", [])))
        run = int(np.searchsorted(starts, event["ts"], side="right")) - 1
        if run >= 0:
            # A node inside a branch or a loop may run several times.
            rows[run][name] = rows[run].get(name, 0.0) + event["dur"] / 1e3
    names = list(made)
    table = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    return Profile(names, table, np.array([event["dur"] / 1e3 for event in runs]), made, feeds)


def _values(described: Sequence[Mapping[str, Sequence[int]]]) -> list[Value]:
    return [Value(tuple(shape), kind) for item in described for kind, shape in item.items()]
