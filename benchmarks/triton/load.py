"""Closed loops: clients that ask, wait for the answer and ask again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.triton.server import TritonServer
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.estimator import PoseEstimator
from gcpose_trt.video.images import decode_image

MODEL, INPUT = "gcpose", "image"


@dataclass(frozen=True)
class Asked:
    """One round.

    Attributes:
        seconds: from the first request to the last answer.
        latencies: seconds of each request that was answered.
        people: found in all of them.
    """

    seconds: float
    latencies: list[float] = field(default_factory=list)
    people: int = 0


def closed_loop(server: TritonServer, protocol: str, clients: int, pictures: Sequence[bytes], seconds: float) -> Asked:
    """Ask about pictures with several clients at once, each beginning at another picture.

    Args:
        server: of an exported model.
        protocol: "http" or "grpc".
        clients: each a connection of its own.
        pictures: encoded.
        seconds: after which no request is begun.

    Raises:
        GcposeError: a request fails.
    """
    start = threading.Barrier(clients)

    def ask(number: int) -> tuple[float, Asked]:
        module = client_module(protocol)
        with closing(module.InferenceServerClient(server.grpc if protocol == "grpc" else server.http)) as client:
            client.is_server_live()  # connects
            start.wait()
            begun = time.perf_counter()
            turned = [*pictures[number % len(pictures) :], *pictures[: number % len(pictures)]]
            return begun, _repeat(lambda picture: _ask(module, client, picture), turned, seconds)

    with ThreadPoolExecutor(clients) as pool:
        done = list(pool.map(ask, range(clients)))
    end = max(begun + asked.seconds for begun, asked in done)
    return Asked(
        end - min(begun for begun, _ in done),
        [latency for _, asked in done for latency in asked.latencies],
        sum(asked.people for _, asked in done),
    )


def estimator_loop(estimator: PoseEstimator, pictures: Sequence[bytes], seconds: float) -> Asked:
    """Answer the same pictures in this process, decoded anew each time, one after the other."""
    return _repeat(lambda picture: len(estimator(decode_image(picture, "picture"))), pictures, seconds)


def client_module(protocol: str) -> ModuleType:
    """Return tritonclient's module of a protocol."""
    if protocol == "grpc":
        import tritonclient.grpc as module
    else:
        import tritonclient.http as module
    found: ModuleType = module
    return found


def summary(rounds: Sequence[Asked]) -> dict[str, Any]:
    """Return requests, pictures a second (median of the rounds, and each) and percentiles of all latencies."""
    milliseconds = 1e3 * np.concatenate([asked.latencies for asked in rounds])
    rates = [len(asked.latencies) / asked.seconds for asked in rounds]
    p50, p95, p99 = np.percentile(milliseconds, [50, 95, 99])
    return {
        "requests": len(milliseconds),
        "people": sum(asked.people for asked in rounds),
        "pictures_a_second": round(float(np.median(rates)), 2),
        "pictures_a_second_by_round": [round(rate, 2) for rate in rates],
        "milliseconds": {"p50": round(float(p50), 1), "p95": round(float(p95), 1), "p99": round(float(p99), 1)},
    }


def statistics(server: TritonServer, model: str = "gcpose_detector") -> dict[str, Any]:
    """Return Triton's statistics of a model."""
    with server.get(f"/v2/models/{model}/stats") as answer:
        found: dict[str, Any] = json.load(answer)["model_stats"][0]
    return found


def _ask(module: ModuleType, client: Any, picture: bytes) -> int:
    tensor = module.InferInput(INPUT, [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[picture]], object))
    try:
        return int(client.infer(MODEL, [tensor]).as_numpy("count")[0, 0])
    except Exception as error:  # the two protocols' libraries have no common class below it
        raise GcposeError(f"a request failed ({error}); see the server's log") from error


def _repeat(ask: Callable[[bytes], int], pictures: Sequence[bytes], seconds: float) -> Asked:
    """Ask about the pictures round and round; at least once."""
    latencies: list[float] = []
    people = 0
    start = now = time.perf_counter()
    while now - start < seconds or not latencies:
        people += ask(pictures[len(latencies) % len(pictures)])
        before, now = now, time.perf_counter()
        latencies.append(now - before)
    return Asked(now - start, latencies, people)
