"""Whether the live system can run for days: a clip in a loop through pipeline, tracking and sinks, and what grows.

Clients come and go at the page meanwhile, and every other one stalls. The network gets small pictures, so that many
frames pass in little time. Memory, threads and descriptors are noted all along; growth counts from a tenth of the
frames on.
"""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import SAMPLE_CLIP, parser, record, run, write
from benchmarks.leak import resident_mib
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.drawing import Painter, PaintOptions
from gcpose_trt.runtime.estimator import PoseEstimator
from gcpose_trt.video.capture import CaptureOptions, open_capture
from gcpose_trt.video.frames import Result
from gcpose_trt.video.live import LivePipeline, Output
from gcpose_trt.video.live_types import Controls, Settings
from gcpose_trt.video.sinks import JsonLinesSink, Mp4Sink
from gcpose_trt.web.server import WebServer
from gcpose_trt.web.sink import WebSink

ALLOWED_MIB = 20.0
_EVERY = 500  # frames between two looks


class Watch:
    """A sink that checks the order of frames and notes what the process holds.

    Attributes:
        looks: (frames so far, MiB of memory, threads, descriptors).
        disorder: frames that came after a later one.
    """

    needs_picture = False

    def __init__(self) -> None:
        self.looks: list[tuple[int, float, int, int]] = []
        self.disorder = 0
        self.frames = 0
        self._last = -1

    def write(self, result: Result) -> None:
        """Note one frame."""
        self.disorder += result.frame.index <= self._last
        self._last = result.frame.index
        self.frames += 1
        if self.frames % _EVERY == 0:
            descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
            self.looks.append((self.frames, resident_mib(), threading.active_count(), descriptors))

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *reason: object) -> None:
        return None


def visit(url: str, port: int, stop: threading.Event) -> int:
    """Come and go as clients do, until `stop`; return how often. Every other one stalls: it asks and never reads."""
    visits = 0
    while not stop.is_set():
        with contextlib.suppress(OSError):
            if visits % 2:
                with socket.create_connection(("127.0.0.1", port), timeout=10) as stalled:
                    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    stalled.sendall(f"GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
                    stop.wait(8)  # longer than the server waits for it
            else:
                with urllib.request.urlopen(f"{url}stream.mjpg", timeout=10) as stream:
                    until = time.monotonic() + 4
                    while time.monotonic() < until and stream.read(65536):
                        pass
            visits += 1
    return visits


def measure(model: str, precision: str, size: int, frames: int) -> dict[str, Any]:
    """Run and return what was held at first, at last and at most."""
    watch = Watch()
    made: list[LivePipeline] = []
    stop = threading.Event()
    visits: list[int] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        PoseEstimator(model, size=size, precision=precision) as estimator,
    ):
        controls = Controls(Settings(min_score=estimator.min_score, smooth=0.5))
        with WebServer(
            "127.0.0.1", 0, controls=controls, snapshot=lambda: made[0].snapshot(), streams=["sample"]
        ) as server:
            pipeline = LivePipeline(
                [open_capture(str(SAMPLE_CLIP), CaptureOptions(loop=-1, size=(320, 180)))],
                estimator,
                [
                    Output("watch", watch, None, lossless=True),
                    Output("jsonl", JsonLinesSink(Path(folder) / "poses.jsonl"), None, lossless=True),
                    Output("mp4", Mp4Sink(Path(folder) / "clip.mp4", 30.0, segment_minutes=1), None, lossless=True),
                    Output("page", WebSink(server)),
                ],
                controls=controls,
                policy="all",
                tracking=True,
                painter_factory=lambda _: Painter(PaintOptions()),
                max_frames=frames,
                log=print,
            )
            made.append(pipeline)
            client = threading.Thread(target=lambda: visits.append(visit(server.url, server.address[1], stop)))
            client.start()
            summary = pipeline.run()
            stop.set()
            client.join()
        lines = sum(1 for _ in (Path(folder) / "poses.jsonl").open())
    settled = [look for look in watch.looks if look[0] >= frames // 10] or watch.looks
    if not settled:
        raise GcposeError(f"{frames} frames are too few to tell; give at least {10 * _EVERY}")
    memory = np.array([look[1] for look in settled])
    return {
        "frames": summary.frames,
        "seconds": round(summary.seconds, 1),
        "json_lines": lines,
        "out_of_order": watch.disorder,
        "failures": summary.failures,
        "clients": visits[0],
        "memory_mib": {
            "first": round(float(memory[0]), 1),
            "last": round(float(memory[-1]), 1),
            "least": round(float(memory.min()), 1),
            "most": round(float(memory.max()), 1),
        },
        "threads": {"first": settled[0][2], "last": settled[-1][2], "most": max(look[2] for look in settled)},
        "descriptors": {"first": settled[0][3], "last": settled[-1][3], "most": max(look[3] for look in settled)},
        "looks": [[n, round(mib, 1), threads, descriptors] for n, mib, threads, descriptors in watch.looks[::4]],
    }


def verdict(measured: dict[str, Any]) -> list[str]:
    """Return what is wrong, one line each."""
    wrong = []
    growth = measured["memory_mib"]["last"] - measured["memory_mib"]["first"]
    if growth > ALLOWED_MIB:
        wrong.append(f"memory grew by {growth:.1f} MiB")
    if measured["out_of_order"] or measured["json_lines"] != measured["frames"]:
        wrong.append(f"{measured['out_of_order']} frames out of order, {measured['json_lines']} lines")
    # A client or two may be there at the last look and not at the first.
    for what in ("threads", "descriptors"):
        if measured[what]["last"] > measured[what]["first"] + 4:
            wrong.append(f"{what} grew from {measured[what]['first']} to {measured[what]['last']}")
    return wrong + list(measured["failures"])


def main() -> int:
    """Measure, print, and write the record."""
    arguments = parser(__doc__)
    arguments.add_argument("--model", default="mobile", help="shipped name or folder")
    arguments.add_argument("--precision", default="int8", choices=("fp32", "int8"), help="of the network")
    arguments.add_argument("--size", type=int, default=128, help="long side of what the network gets")
    arguments.add_argument("--frames", type=int, default=50_000, help="in all")
    args = arguments.parse_args()
    document = record({"settings": {"model": args.model, "precision": args.precision, "size": args.size}})
    measured = measure(args.model, args.precision, args.size, args.frames)
    wrong = verdict(measured)
    document.update(measured, wrong=wrong)
    print(json.dumps({key: value for key, value in measured.items() if key != "looks"}, indent=1))
    print("\n".join(wrong) or "nothing grows")
    write(args.json, document)
    return 1 if wrong else 0


if __name__ == "__main__":
    run(main)
