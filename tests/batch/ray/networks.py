"""Networks of tests, which run in the cluster's processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from gcpose_trt.batch.inference import Inference
from gcpose_trt.batch.types import Chunk, ChunkPoses, Recipe
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.preprocess import Placed


def gated(gate: Path) -> Callable[[Recipe, str | None], Callable[[Chunk], ChunkPoses]]:
    """Networks that do one segment each, then wait for the file `gate`."""
    return partial(_Gated, gate)


class _Gated:
    def __init__(self, gate: Path, recipe: Recipe, device: str | None) -> None:
        self._infer = Inference(recipe, device)
        self._gate = gate
        self._first: Any = None

    def __call__(self, chunk: Chunk) -> ChunkPoses:
        key = (chunk.source_id, chunk.segment)
        self._first = self._first or key
        deadline = time.monotonic() + 240
        while key != self._first and not self._gate.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return self._infer(chunk)


class Deadly:
    """Takes its process with it when it sees segment 1 of source "0"."""

    def __init__(self, recipe: Recipe, device: str | None) -> None:
        self._infer = Inference(recipe, device)

    def __call__(self, chunk: Chunk) -> ChunkPoses:
        if (chunk.source_id, chunk.segment) == ("0", 1):
            os._exit(1)
        return self._infer(chunk)


class Resized:
    """Takes no whole frames: decoders are to send what the network needs of them."""

    def __init__(self, recipe: Recipe, device: str | None) -> None:
        self._infer = Inference(recipe, device)

    def __call__(self, chunk: Chunk) -> ChunkPoses:
        assert all(isinstance(image, Placed) for image in chunk.images)
        return self._infer(chunk)


class Unopened:
    """Cannot be opened."""

    def __init__(self, recipe: Recipe, device: str | None) -> None:
        raise GcposeError("no such engine; build it")

    def __call__(self, chunk: Chunk) -> ChunkPoses:
        raise AssertionError
