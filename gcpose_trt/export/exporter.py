"""PyTorch network to the two ONNX files of a model."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError
from gcpose_trt.export.record import write_record
from gcpose_trt.export.tracing import trace_detector, trace_pose
from gcpose_trt.export.verification import Stage, compare, table
from gcpose_trt.export.writing import staging_folder
from gcpose_trt.model import GCPoseRCNN
from gcpose_trt.model.checkpoint.exported import fold_weights, weights_digest
from gcpose_trt.runtime import bundle
from gcpose_trt.runtime.backends.onnxruntime_backend import OnnxRuntimeBackend
from gcpose_trt.runtime.backends.torch_backend import TorchBackend
from gcpose_trt.runtime.preprocess import Image, parse_size
from gcpose_trt.video.sampling import read_frames

LOWEST_OPSET = 18  # PyTorch's exporter writes 18; its conversion to 17 leaves attributes that 17 does not have
HIGHEST_OPSET = 21  # ONNX Runtime has no RoiAlign of opset 22 (1.32)
MOST_PEOPLE = 1000

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ExportReport:
    """What `export_model` wrote and how well it agrees with the network."""

    detector: Path
    pose: Path
    stages: tuple[Stage, ...]  # empty if nothing was compared


def check_options(size: tuple[int, int] | None, max_people: int | None, opset: int, divisor: int = 32) -> None:
    """Raise GcposeError for options that no model can be exported with."""
    if size is not None:
        parse_size(size, divisor)
    if max_people is not None and not 1 <= max_people <= MOST_PEOPLE:
        raise GcposeError(f"max_people {max_people} is out of range; choose a whole number from 1 to {MOST_PEOPLE}")
    if not LOWEST_OPSET <= opset <= HIGHEST_OPSET:
        raise GcposeError(
            f"opset {opset} cannot be exported and run; choose one from {LOWEST_OPSET} to {HIGHEST_OPSET}"
        )


@contextlib.contextmanager
def _most_people(model: GCPoseRCNN, max_people: int | None) -> Iterator[None]:
    """Set the number of the detector's outputs for the length of the block."""
    before = model.box_head.config
    if max_people is not None:
        model.box_head.config = dataclasses.replace(before, max_people=max_people)
    try:
        yield
    finally:
        model.box_head.config = before


def export_model(
    model: GCPoseRCNN,
    output_dir: str | os.PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    max_people: int | None = None,
    opset: int = 18,
    images: str | os.PathLike[str] | Sequence[Image] | None = None,
    verify: bool = True,
    progress: Progress | None = None,
) -> ExportReport:
    """Write detector.onnx and pose.onnx, after checking them against the network; both or neither.

    Args:
        model: the network, on the CPU, in evaluation mode.
        output_dir: folder for the two files; made if missing. Files of these names are replaced.
        size: (H, W) of the only input the model will take, multiples of the divisor; None takes any.
        max_people: most people in an image; None keeps the network's own number.
        opset: of the graphs.
        images: for the check: frames (BGR uint8), a folder of images, or a clip; None takes the sample clip.
        verify: compare the files with the network and refuse to write them if they disagree.
        progress: called with a line of text after each step.

    Raises:
        GcposeError: an option is out of range, the files disagree with the network, or cannot be written.
    """
    check_options(size, max_people, opset, model.config.divisor)
    say = progress or (lambda line: None)
    frames = _frames(images) if verify else []
    stages: list[Stage] = []
    folder = Path(output_dir)
    with staging_folder(folder) as staging, _most_people(model, max_people):
        _write_graphs(model, staging, size, opset, say)
        if verify:
            say(f"comparing PyTorch with ONNX Runtime on {len(frames)} images")
            stages = _verify(model, staging, frames)
            say(table(stages))
            wrong = [stage.name for stage in stages if not stage.agrees]
            if wrong:
                raise GcposeError(
                    f"the exported model disagrees with PyTorch in {', '.join(wrong)}, nothing was written; "
                    "try a fixed --size or another version of torch, and report it with the table above"
                )
    return ExportReport(folder / "detector.onnx", folder / "pose.onnx", tuple(stages))


def _frames(images: str | os.PathLike[str] | Sequence[Image] | None) -> list[Image]:
    if images is None or isinstance(images, (str, os.PathLike)):
        return read_frames(None if images is None else Path(images))
    if not len(images):
        raise GcposeError("there are no images to check the export on; give some with people in them")
    return list(images)


def _write_graphs(model: GCPoseRCNN, folder: Path, size: tuple[int, int] | None, opset: int, say: Progress) -> None:
    record: dict[str, Any] = {
        **model.metadata(),
        "max_people": model.box_head.config.max_people,
        "weights_sha256": weights_digest(model.state_dict()),
    }
    detector = trace_detector(model, size, opset)
    say(f"traced the detector: {len(detector.graph.node)} nodes")
    pose = trace_pose(model, _p2_shape(model, size), size is not None, opset)
    say(f"traced the pose branch: {len(pose.graph.node)} nodes")
    kept = {tensor.name for proto in (detector, pose) for tensor in proto.graph.initializer}
    folded = {"detector": "{}", "pose": fold_weights(model.state_dict(), kept)}
    for graph, proto in (("detector", detector), ("pose", pose)):
        write_record(proto, graph, record, folded[graph], size, opset)
        onnx.checker.check_model(proto, full_check=True)
        path = folder / f"{graph}.onnx"
        path.write_bytes(proto.SerializeToString(deterministic=True))
        say(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")


def _p2_shape(model: GCPoseRCNN, size: tuple[int, int] | None) -> tuple[int, int, int]:
    divisor = model.config.divisor
    height, width = size or (2 * divisor, 3 * divisor)
    with torch.inference_mode():
        image = torch.zeros(1, height, width, 3, dtype=torch.uint8)
        shape = model.detect(image, torch.tensor([[height, width]])).p2.shape
    return int(shape[1]), int(shape[2]), int(shape[3])


def _verify(model: GCPoseRCNN, folder: Path, frames: Sequence[Image]) -> list[Stage]:
    reference, exported = TorchBackend(model), OnnxRuntimeBackend(bundle.find(folder))

    def to_value(array: NDArray[Any]) -> onnxruntime.OrtValue:
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array, np.float32))

    try:
        return compare(reference, exported, frames, exported.info.size_rule, to_value)
    finally:
        exported.close()
