"""A model on disk: a folder with `detector.onnx` and `pose.onnx`, and how to find and trust one.

Knows no ONNX library: the backend that opens the files hands their metadata over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gcpose_trt.assets import FOLDER as SHIPPED
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.info import ModelInfo

GRAPHS = ("detector", "pose")
METADATA_KEY = "gcpose"
INT8_KEY = "gcpose.int8"  # in the metadata of quantized graphs
INT8_SUFFIX = "-int8"
ENGINE_RECORD = "engine.json"
_REMEDY = "make one with: gcpose-trt export mobile"


@dataclass(frozen=True)
class BundlePaths:
    """The two files of a model."""

    detector: Path
    pose: Path


def shipped_names() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob("*/detector.onnx"))


def find(model: str | os.PathLike[str]) -> BundlePaths:
    """Return the files of a model.

    Args:
        model: a shipped name, a folder that holds the two files, or either file.

    Raises:
        GcposeError: there is no such model, or one of its files is missing or empty.
    """
    name = os.fspath(model)
    path = Path(name)
    if name and name == path.name and (SHIPPED / name / "detector.onnx").is_file():
        folder = SHIPPED / name  # a name goes before a folder of the same name; write ./mobile for that
    elif name and path.is_dir():
        folder = path
    elif path.is_file():
        folder = path.parent
        if path.name not in {f"{graph}.onnx" for graph in GRAPHS}:
            raise GcposeError(f"{path} is not a model of two files detector.onnx and pose.onnx; {_REMEDY}")
    else:
        known = ", ".join(shipped_names()) or "none in this installation"
        raise GcposeError(
            f"no model {name!r}; give a folder with detector.onnx and pose.onnx, or a shipped name ({known})"
        )
    files = [folder / f"{graph}.onnx" for graph in GRAPHS]
    for file in files:
        if not file.is_file():
            raise GcposeError(f"{folder} has no {file.name}, a model is two files; {_REMEDY}")
        if file.stat().st_size == 0:
            raise GcposeError(f"{file} is empty; {_REMEDY}")
    return BundlePaths(*files)


def int8_form(paths: BundlePaths) -> BundlePaths | None:
    """Return the files of a model's INT8 form: a folder beside its own with "-int8" behind the name. None without."""
    folder = paths.detector.resolve().parent
    files = [folder.with_name(f"{folder.name}{INT8_SUFFIX}") / f"{graph}.onnx" for graph in GRAPHS]
    return BundlePaths(*files) if all(file.is_file() for file in files) else None


def engine_folder(model: str | os.PathLike[str]) -> Path | None:
    """Return the folder if `model` is one of TensorRT engines, or a file of one; None if it is something else."""
    name = os.fspath(model)
    path = Path(name)
    if not name or (name == path.name and (SHIPPED / name / "detector.onnx").is_file()):
        return None  # a shipped name goes before a folder, as in `find`
    if path.suffix in (".engine", ".plan") or path.name == ENGINE_RECORD:
        path = path.parent
    return path if (path / ENGINE_RECORD).is_file() else None


def read_record(metadata: Mapping[str, str], graph: str, path: Path) -> ModelInfo:
    """Return what one file says of itself.

    Args:
        metadata: the file's metadata_props.
        graph: "detector" or "pose", what the file should be.
        path: the file, for error messages.

    Raises:
        GcposeError: not a file of ours, or the other graph.
    """
    text = metadata.get(METADATA_KEY)
    if text is None:
        raise GcposeError(f"{path} is an ONNX file, but not one of gcpose-trt; {_REMEDY}")
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        raise GcposeError(f"{path} has an unreadable model record ({error}); {_REMEDY}") from error
    info = ModelInfo.from_dict(record, str(path))
    if record.get("graph") != graph:
        raise GcposeError(f"{path} holds the graph {record.get('graph')!r}, not {graph!r}; {_REMEDY}")
    return info


def check_pair(detector: ModelInfo, pose: ModelInfo, paths: BundlePaths) -> ModelInfo:
    """Return the record of a model whose two files were made together.

    Raises:
        GcposeError: the files come from different weights or sizes.
    """
    if detector.weights_sha256 != pose.weights_sha256:
        raise GcposeError(
            f"{paths.detector} and {paths.pose} come from different weights; "
            "export both together with gcpose-trt export"
        )
    if detector.size != pose.size:
        raise GcposeError(
            f"{paths.detector} and {paths.pose} were exported at different sizes; "
            "export both together with gcpose-trt export"
        )
    return detector
