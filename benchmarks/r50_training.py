"""What training `r50` by the paper's recipe costs: from a run's own events, and what follows for the full schedule.

The operations of one image's forward pass are counted with the paper's keypoint branch and with the plain one of Mask
R-CNN, for the number of people that training shows it at most. The ratio scales the time that detectron2 publishes for
its keypoint R-CNN of the same schedule (MODEL_ZOO.md, keypoint_rcnn_R_50_FPN_3x) to an estimate for this network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import parser, record, run, statistics, write
from gcpose_trt.errors import GcposeError
from gcpose_trt.model import CONFIGS, build_model
from gcpose_trt.model.keypoint_head import KeypointHead
from gcpose_trt.training.config_loading import load_config

SIZE = (800, 1216)  # of an input, pixels: a 3:2 picture at test time
REGIONS = 512  # of the box branch
PEOPLE = (8, 32, 128)  # regions of the keypoint branch in an image; a quarter of the box branch's is the most
# detectron2's MODEL_ZOO.md: seconds an iteration of 16 images on 8 V100 GPUs, and gigabytes on each.
ZOO = {"model": "keypoint_rcnn_R_50_FPN_3x", "gigabytes": 5.0, "gpus": 8, "images": 16}
ZOO_SECONDS = 0.316
TERMS = 20  # iterations that are averaged


def read_events(folder: Path) -> dict[str, list[float]]:
    """Return a run's scalars by name, in order.

    Raises:
        GcposeError: the folder holds no run.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    place = folder / "events"
    events = EventAccumulator(str(place), size_guidance={"scalars": 0})
    if place.is_dir():
        events.Reload()
    names = events.Tags()["scalars"]
    if "seconds_per_iteration" not in names:
        raise GcposeError(f"{folder} holds no training run; give the --output of gcpose-trt train")
    return {name: [event.value for event in events.Scalars(name)] for name in names}


def falling(losses: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return each term, and their sum, as means over `TERMS` reports after one another."""
    length = min(len(values) for values in losses.values())
    blocks = {
        name: [round(float(np.mean(values[at : at + TERMS])), 4) for at in range(0, length, TERMS)]
        for name, values in losses.items()
    }
    blocks["sum"] = [round(sum(parts), 4) for parts in zip(*blocks.values(), strict=True)]
    return blocks


def count_operations() -> dict[str, Any]:
    """Return the operations of a forward pass in units of 10^9, multiplications and additions each counted as one."""

    def counted(call: Any) -> float:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            call()
        return counter.get_total_flops() / 1e9

    with torch.device("meta"):
        model = build_model("r50")
        plain = KeypointHead(dataclasses.replace(CONFIGS["r50"].keypoint, gcm=False), CONFIGS["r50"].channels)
        image, pooled = torch.zeros(1, 3, *SIZE), torch.zeros(1, CONFIGS["r50"].channels, 14, 14)
        rows = torch.zeros(REGIONS, model.box_head.fc1.in_features)
    trunk = counted(lambda: model.rpn(model.features(image)))
    box = counted(lambda: model.box_head.fc2(model.box_head.fc1(rows)))
    head, plain_head = counted(lambda: model.keypoint_head.logits(pooled)), counted(lambda: plain.logits(pooled))
    ratio = {str(n): round((trunk + box + n * head) / (trunk + box + n * plain_head), 3) for n in PEOPLE}
    return {
        "size": SIZE,
        "backbone, pyramid and proposals": round(trunk, 1),
        f"box branch, {REGIONS} regions": round(box, 1),
        "keypoint branch, one person": round(head, 2),
        "keypoint branch without GCM, one person": round(plain_head, 2),
        "with GCM to without, by people": ratio,
    }


def estimate(ratio: float, iterations: int) -> dict[str, Any]:
    """Return hours of the full schedule by number of GPUs, from detectron2's time times `ratio`."""
    seconds = ZOO_SECONDS * ratio
    hours = seconds * iterations / 3600
    return {
        "from": {**ZOO, "seconds": ZOO_SECONDS},
        "ratio": ratio,
        "iterations": iterations,
        "seconds an iteration on 8 GPUs": round(seconds, 3),
        "hours on 8 GPUs": round(hours, 1),
        "hours on 1 GPU": round(8 * hours, 1),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Read a run, count, estimate, print."""
    options = parser(__doc__)
    options.add_argument("run", type=Path, metavar="RUN", help="folder of a finished or stopped run of r50")
    options.add_argument("--peak-mib", type=float, help="largest memory of the run, where its events do not say it")
    arguments = options.parse_args(argv)
    scalars = read_events(arguments.run)
    losses = {name.removeprefix("loss/"): values for name, values in scalars.items() if name.startswith("loss/")}
    operations = count_operations()
    peak = max(scalars.get("peak_memory_mib", []), default=arguments.peak_mib)
    schedule = load_config("r50_3x").schedule
    document = record(
        {
            "iterations": len(scalars["seconds_per_iteration"]),
            "milliseconds an iteration": statistics([1000 * s for s in scalars["seconds_per_iteration"]]),
            "peak MiB": peak,
            "losses": falling(losses),
            "operations": operations,
            # 128 is what a crowd gives; most pictures give fewer, so that the estimate is an upper one.
            "estimate": estimate(operations["with GCM to without, by people"][str(PEOPLE[-1])], schedule.iterations),
        }
    )
    print(f"{document['iterations']} iterations, {document['milliseconds an iteration']} ms, peak {peak} MiB")
    for name, values in document["losses"].items():
        print(f"{name:>16}  " + " ".join(f"{value:7.3f}" for value in values))
    print(document["estimate"])
    write(arguments.json, document)
    return 0


if __name__ == "__main__":
    run(main)
