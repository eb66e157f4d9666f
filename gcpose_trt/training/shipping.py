"""The last step of a run whose recipe says `export: true`: from `model.pt` to the two ONNX files beside it."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.model import GCPoseRCNN, load_model, read_checkpoint
from gcpose_trt.model.checkpoint.exported import weights_digest
from gcpose_trt.runtime import bundle
from gcpose_trt.training import checkpointing
from gcpose_trt.training.config import TrainConfig
from gcpose_trt.training.trainer import Outcome

_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def require_packages() -> None:
    """Refuse at the start what would fail at the end, without loading the packages into hours of training.

    Raises:
        MissingDependencyError: a package that exporting needs is not installed.
    """
    for package in _PACKAGES:
        if importlib.util.find_spec(package) is None:
            purpose = "the export at the end of the run (--set export=false leaves it out)"
            raise MissingDependencyError(package, "export", purpose)


def finished_run(output: Path, config: TrainConfig, minutes: float | None) -> Outcome | None:
    """Return how the run in `output` ended; None if there is none, or training has something left to do.

    Args:
        output: folder of the run.
        config: its recipe.
        minutes: its length by the clock; None: `schedule.iterations`.

    Raises:
        GcposeError: a file of the run is damaged, or of another recipe.
    """
    last, model = output / "last.pt", output / "model.pt"
    if not (last.is_file() and model.is_file()):
        return None
    state = checkpointing.load_state(last, config)
    iteration = int(state["iteration"])
    done = iteration >= config.schedule.iterations if minutes is None else state["elapsed"] >= 60 * minutes
    # A run that was made longer, and stopped again, has a model from before.
    if not done or read_checkpoint(model).get("iteration") != iteration:
        return None
    return Outcome(True, iteration, model)


def export_run(path: Path, progress: Callable[[str], None]) -> None:
    """Write `detector.onnx` and `pose.onnx` beside the model of a finished run, unless they are there already.

    Args:
        path: `model.pt`; stays whatever happens.
        progress: called with a line of text after each step.

    Raises:
        GcposeError: it cannot be exported; the message says by which command to try again.
    """
    try:
        model = load_model(path)
        if _is_exported(model, path.parent):
            progress(f"{path.parent} holds its ONNX files already")
            return
        from gcpose_trt.export import export_model

        report = export_model(model, path.parent, progress=progress)
    except Exception as error:  # PyTorch's exporter raises many kinds; hours of training end in one line that helps
        reason = " ".join(str(error).split()) or type(error).__name__
        command = f"gcpose-trt export {shlex.quote(str(path))} --output {shlex.quote(str(path.parent))}"
        raise GcposeError(
            f"the trained model is {path}, but its export failed ({reason}); try again: {command}"
        ) from error
    progress(f"wrote {report.detector} and {report.pose}")


def _is_exported(model: GCPoseRCNN, folder: Path) -> bool:
    """Tell whether the ONNX files in `folder` were made from these very weights."""
    digest = weights_digest(model.state_dict())
    return all(_exported_digest(folder / f"{graph}.onnx", graph) == digest for graph in bundle.GRAPHS)


def _exported_digest(path: Path, graph: str) -> str | None:
    import onnx

    if not path.is_file():
        return None
    try:
        content: Any = onnx.load(path)
        return bundle.read_record({item.key: item.value for item in content.metadata_props}, graph, path).weights_sha256
    except Exception:  # protobuf's errors have no base class of their own; a damaged file is made again
        return None
