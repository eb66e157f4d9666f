"""Looking into an engine folder, or into a single engine file."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gcpose_trt.engine import layers_file
from gcpose_trt.engine.inspection import Layer, summary
from gcpose_trt.engine.layers_file import Contents
from gcpose_trt.engine.process import Listener, run_job
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.engine_record import FILE_NAME, EngineRecord, file_sha256
from gcpose_trt.runtime.tensorrt_api import MODULES


@dataclass
class View:
    """What is known of an engine.

    Attributes:
        path: the folder or file.
        record: what `engine.json` says, None for a file from elsewhere.
        files: {"name", "bytes", "sha256"} of each engine, by graph.
        graphs: layers, inputs and outputs of each engine, where they could be had.
        missing: what could not be shown, and why; a line each.
    """

    path: Path
    record: EngineRecord | None
    files: dict[str, dict[str, Any]]
    graphs: dict[str, Contents] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return values that JSON takes."""
        return {
            "path": str(self.path),
            "record": None if self.record is None else self.record.to_dict(),
            "files": self.files,
            "graphs": {
                name: {
                    **summary(contents.layers),
                    "io": contents.io,
                    "largest_layers": [{**layer.to_dict(), "size": layer.size} for layer in _sorted(contents.layers)],
                }
                for name, contents in self.graphs.items()
            },
            "missing": self.missing,
        }


def _sorted(layers: list[Layer]) -> list[Layer]:
    return sorted(layers, key=lambda layer: -layer.size)


def look(path: Path, plugins: Path | None, listener: Listener) -> View:
    """Look into an engine.

    Args:
        path: an engine folder, or an engine file; of a file that lies in an engine folder, its record is shown too.
        plugins: the plugin library for a file from elsewhere, None for the one that was built here.
        listener: told what TensorRT says.

    Raises:
        GcposeError: there is no such folder or file, or its record is damaged.
    """
    if path.is_dir():
        return _look_into_folder(path, None, plugins, listener)
    if not path.is_file():
        raise GcposeError(f"no engine {path}; make one with: gcpose-trt build-engine mobile --output DIR")
    if (path.parent / FILE_NAME).is_file():
        record = EngineRecord.load(path.parent)
        graph = next((graph for graph, file in record.files.items() if file.name == path.name), None)
        if graph is not None:
            return _look_into_folder(path.parent, graph, plugins, listener)
    if path.stat().st_size == 0:
        raise GcposeError(f"{path} is empty; build the engine again")
    view = View(path, None, {path.stem: _facts(path)})
    _ask_tensorrt(view, path.stem, path, "tensorrt", plugins, listener)
    return view


def _look_into_folder(folder: Path, only: str | None, plugins: Path | None, listener: Listener) -> View:
    record = EngineRecord.load(folder)
    chosen = [graph for graph in record.files if only in (None, graph)]
    files = {}
    for graph in chosen:
        path = folder / record.files[graph].name
        if path.is_file():
            files[graph] = _facts(path)
    view = View(folder if only is None else folder / record.files[only].name, record, files)
    try:
        record.check_files(folder)
    except GcposeError as error:
        view.missing.append(str(error))
    try:
        view.graphs = {name: item for name, item in layers_file.read(folder).items() if name in chosen}
    except GcposeError as error:
        view.missing.append(str(error))
        library = plugins or (Path(record.plugin_library.path) if record.plugin_library else None)
        for graph in files:
            _ask_tensorrt(view, graph, folder / record.files[graph].name, record.target, library, listener)
    return view


def _facts(path: Path) -> dict[str, Any]:
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": file_sha256(path)}


def _ask_tensorrt(view: View, graph: str, path: Path, target: str, plugins: Path | None, listener: Listener) -> None:
    """Let TensorRT itself look, in a process of its own: it ends the process that it does not like a file in."""
    if importlib.util.find_spec(MODULES[target]) is None:
        view.missing.append(f"layers of {path.name}: {target} is not installed for this Python")
        return
    try:
        job = {"job": "inspect", "target": target, "engine": str(path), "plugins": _library(plugins)}
        found = run_job(job, listener)
    except GcposeError as error:
        view.missing.append(f"layers of {path.name}: {error}")
        return
    view.graphs[graph] = Contents([Layer.from_dict(layer) for layer in found["layers"]], found["io"])


def _library(explicit: Path | None) -> str | None:
    from gcpose_trt.plugins import library

    try:
        return str(library.find(explicit))
    except GcposeError:
        if explicit is not None:
            raise
        return None  # an engine from elsewhere need not have our plugins in it
