"""How many pictures an exported model answers in a real Triton server, beside PoseEstimator in a process of its own.

Closed loop: each client sends a JPEG, waits for the people in it, and sends the next. A figure includes the client's
side of the protocol, the way through the server, decoding the JPEG, the network and the joints; server and clients
share the machine. The peer, PoseEstimator, decodes and answers the same JPEGs one after the other, without any server.
Rounds of all of them are taken in turn. Run it alone on the machine, after `make test` has installed the server.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2

from benchmarks.common import SAMPLE_CLIP, parser, read_frames, record, run, write
from benchmarks.triton.load import Asked, closed_loop, estimator_loop, statistics, summary
from benchmarks.triton.server import environment, serving
from gcpose_trt.cli import main as gcpose
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.estimator import PoseEstimator

PRECISIONS = ("fp32", "int8")
PROTOCOLS = ("http", "grpc")


def measure(args: argparse.Namespace, pictures: list[bytes], precision: str, instances: int) -> dict[str, Any]:
    """Return the record of one form of the model, with one number of copies of the network."""
    cases = [(protocol, clients) for protocol in PROTOCOLS for clients in args.clients]
    taken: dict[tuple[str, int], list[Asked]] = {case: [] for case in cases}
    alone: list[Asked] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(serving(export(folder, precision, instances), folder / "server"))
        estimator = stack.enter_context(PoseEstimator("mobile", precision=precision, threads=args.threads))
        # Both have seen the pictures once: the first of a size pays for memory.
        closed_loop(server, "grpc", 2, pictures, args.seconds / 2)
        estimator_loop(estimator, pictures, args.seconds / 2)
        before = statistics(server)
        for turn in range(args.rounds):
            for case in cases if turn % 2 == 0 else cases[::-1]:
                taken[case].append(closed_loop(server, *case, pictures, args.seconds))
            alone.append(estimator_loop(estimator, pictures, args.seconds))
        after = statistics(server)
    calls = {key: after[key] - before[key] for key in ("inference_count", "execution_count")}
    return {
        "precision": precision,
        "instances": instances,
        "estimator": summary(alone),
        "server": [
            {"protocol": protocol, "clients": clients, **summary(rounds)}
            for (protocol, clients), rounds in taken.items()
        ],
        "detector": {**calls, "frames_a_call": round(calls["inference_count"] / calls["execution_count"], 2)},
    }


def export(folder: Path, precision: str, instances: int) -> Path:
    """Export the shipped model for the Python backend; return the repository."""
    repository = folder / "repository"
    options = ["--runtime", "python", "--precision", precision, "--instances", str(instances)]
    if gcpose(["export-triton", "mobile", "--output", str(repository), *options]) != 0:
        raise GcposeError("the model cannot be exported; see the line above")
    return repository


def server_versions() -> dict[str, str]:
    """Return what runs inside the server's environment, which is not what runs here."""
    names = ("nvidia-pytriton", "numpy", "opencv-python-headless", "onnxruntime")
    program = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    command = [str(environment() / "bin/python"), "-c", program, *names]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return dict(zip(names, found, strict=True))


def main() -> int:
    """Measure, print, and write the record."""
    arguments = parser(__doc__)
    arguments.add_argument("--clients", type=int, nargs="+", default=[1, 2, 4, 8], help="numbers of clients at once")
    arguments.add_argument("--precisions", nargs="+", default=list(PRECISIONS), choices=PRECISIONS)
    arguments.add_argument("--instances", type=int, nargs="+", default=[1, 2], help="copies of the network")
    arguments.add_argument("--seconds", type=float, default=2.0, help="of a round")
    arguments.add_argument("--rounds", type=int, default=2, help="of each number of clients")
    arguments.add_argument("--pictures", type=int, default=12, help="frames of the sample clip, as JPEG")
    arguments.add_argument("--threads", type=int, default=os.cpu_count(), help="of the estimator beside the server")
    arguments.add_argument("--note", help="what else the reader of the record must know")
    args = arguments.parse_args()
    document = record({"versions_in_the_server": server_versions(), "note": args.note})
    frames = read_frames(SAMPLE_CLIP, args.pictures)
    pictures = [cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames]
    height, width = frames[0].shape[:2]
    document["settings"] = {
        "model": "mobile",
        "runtime": "python",
        "pictures": f"{len(pictures)} JPEGs of {width}x{height}",
        "seconds_a_round": args.seconds,
        "rounds": args.rounds,
        "estimator_threads": args.threads,
        "included": "client, protocol, JPEG decoding, network; server and clients share the machine",
    }
    document["results"] = []
    for precision in args.precisions:
        for instances in args.instances:
            found = measure(args, pictures, precision, instances)
            document["results"].append(found)
            show(found)
    document["load_after"] = round(os.getloadavg()[0], 2)
    write(args.json, document)
    return 0


def show(found: dict[str, Any]) -> None:
    """Print a record's figures."""
    title = f"{found['precision']}, instances {found['instances']}"
    alone = {"protocol": "none: PoseEstimator", "clients": 1, **found["estimator"]}
    for row in (alone, *found["server"]):
        times = row["milliseconds"]
        print(
            f"{title:<20} {row['protocol']:<20} {row['clients']} clients {row['pictures_a_second']:6.1f} pictures/s  "
            f"p50 {times['p50']:6.1f}  p95 {times['p95']:6.1f}  p99 {times['p99']:6.1f} ms",
            file=sys.stderr,
        )


if __name__ == "__main__":
    run(main)
