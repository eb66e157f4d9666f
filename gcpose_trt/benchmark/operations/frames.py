"""One contender's turn: a few frames of the clip, each decoded, run and drawn, every part timed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

from gcpose_trt.benchmark.contender import Contender, Image
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.drawing import draw_poses
from gcpose_trt.video.sources import open_source

_DECIMALS = 4  # of a millisecond: finer than the clock


class Decoder:
    """Frames of a clip by their numbers, decoded one after the other as a player would.

    Decoding is timed for the frames that are asked for. Those in between are decoded as well, because most codecs need
    them, but nobody waits for them in a benchmark.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._open = contextlib.ExitStack()
        self._frames: Iterator[Any] = iter(())
        self._next: int | None = None  # number of the frame that comes next; None: nothing is open

    def read(self, index: int) -> tuple[Image, float]:
        """Return a frame (H, W, 3) BGR uint8 and the milliseconds of its decoding.

        Raises:
            GcposeError: the clip cannot be read, or has no such frame.
        """
        if self._next is None or index < self._next:
            self.close()
            self._frames = iter(self._open.enter_context(open_source(self.path)))
            self._next = 0
        while self._next < index:
            next(self._frames, None)
            self._next += 1
        start = time.perf_counter()
        frame = next(self._frames, None)
        took = 1e3 * (time.perf_counter() - start)
        if frame is None:
            raise GcposeError(f"the clip has no frame {index} any more; leave it alone while it is measured")
        self._next += 1
        return frame.image, took

    def close(self) -> None:
        """Close the clip; it is opened again when a frame is asked for."""
        self._open.close()
        self._next = None


_decoders: dict[str, Decoder] = {}


def read(path: str, indices: Sequence[int]) -> list[Image]:
    """Return frames (H, W, 3) BGR uint8 of a clip.

    Args:
        path: as `open_source` takes it.
        indices: numbers of the frames, in any order.

    Raises:
        GcposeError: the clip cannot be read, or has no such frame.
    """
    with contextlib.closing(Decoder(path)) as decoder:
        found = {index: decoder.read(index)[0] for index in sorted(set(indices))}
    return [found[index] for index in indices]


def run(contender: Contender, request: dict[str, Any]) -> dict[str, Any]:
    """Run one turn. The clip stays open for the next one.

    The first frame of the turn is run once before, untimed: another contender has just had the processor's caches.

    Args:
        contender: who runs.
        request: "clip" (path), "indices" (numbers of the frames, ascending).

    Returns:
        Lists with a value a frame: "decode", "run" and "draw", milliseconds by the wall clock; "people"; and "stages",
        {name: list} of what the contender tells apart of its run. "wall" is the seconds of the whole turn.
    """
    started = time.perf_counter()
    decoder = _decoders.setdefault(request["clip"], Decoder(request["clip"]))
    times: dict[str, list[float]] = {"decode": [], "run": [], "draw": []}
    stages: list[dict[str, float]] = []
    people: list[int] = []
    for number, index in enumerate(request["indices"]):
        frame, decode = decoder.read(index)
        if number == 0:
            _run_and_draw(contender, frame)
        run_time, draw_time, parts, count = _run_and_draw(contender, frame)
        for name, value in (("decode", decode), ("run", run_time), ("draw", draw_time)):
            times[name].append(round(value, _DECIMALS))
        stages.append(parts)
        people.append(count)
    names = list(dict.fromkeys(name for parts in stages for name in parts))
    return {
        **times,
        "stages": {name: [round(float(parts.get(name, 0.0)), _DECIMALS) for parts in stages] for name in names},
        "people": people,
        "wall": time.perf_counter() - started,
    }


def _run_and_draw(contender: Contender, frame: Image) -> tuple[float, float, dict[str, float], int]:
    clock = [time.perf_counter()]
    poses, parts = contender.run(frame)
    clock.append(time.perf_counter())
    draw_poses(frame, poses, keypoint_threshold=contender.info.keypoint_threshold)
    clock.append(time.perf_counter())
    return 1e3 * (clock[1] - clock[0]), 1e3 * (clock[2] - clock[1]), parts, len(poses)
