"""Time of one frame with a given number of people in it."""

from __future__ import annotations

import time
from typing import Any

from gcpose_trt.benchmark.contender import NETWORK_STAGES, Contender, PeopleContender
from gcpose_trt.benchmark.operations.pictures import pictures
from gcpose_trt.errors import GcposeError

STAGES = tuple(stage for stage in NETWORK_STAGES if stage != "network")


def run(contender: Contender, request: dict[str, Any]) -> dict[str, Any]:
    """Time a contender on a frame with several numbers of people, one number after the other.

    Args:
        contender: a `PeopleContender`, or it is left out.
        request: "clip" and "frame" (its index), "counts" (numbers of people, in the order to take), "repeats".

    Returns:
        "counts": {number as text: {"total", "detector", "pose": milliseconds, `repeats` each; a stage that the
        contender does not tell apart is left out}}, and "unreached": {number as text: why it cannot be made}; or
        "left_out" with the reason.
    """
    if not isinstance(contender, PeopleContender):
        return {"left_out": "it cannot be made to look at a given number of people"}
    (frame,) = pictures(request["clip"], (request["frame"],))
    counts: dict[str, dict[str, list[float]]] = {}
    unreached: dict[str, str] = {}
    for count in request["counts"]:
        try:
            # Once untimed: for the caches, and because TensorRT launches for as many people as the frame before had.
            contender.run_people(frame, count)
            counts[str(count)] = _measure(contender, frame, count, request["repeats"])
        except GcposeError as error:
            unreached[str(count)] = str(error)
    return {"counts": counts, "unreached": unreached}


def _measure(contender: PeopleContender, frame: Any, count: int, repeats: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {"total": []}
    for _ in range(repeats):
        start = time.perf_counter()
        stages = contender.run_people(frame, count)
        times["total"].append(1e3 * (time.perf_counter() - start))
        for stage in STAGES:
            if stage in stages:
                times.setdefault(stage, []).append(stages[stage])
    return times
