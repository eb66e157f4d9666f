"""Building an engine folder, from what the user asked for to `engine.json`."""

from __future__ import annotations

import contextlib
import datetime
import importlib.util
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gcpose_trt import __version__
from gcpose_trt.engine import layers_file
from gcpose_trt.engine import machine as machines
from gcpose_trt.engine.config import Settings
from gcpose_trt.engine.folder import TIMING_CACHE, staging
from gcpose_trt.engine.gate import Gate, annotations_of
from gcpose_trt.engine.inspection import Layer, check_precision, summary
from gcpose_trt.engine.layers_file import Contents
from gcpose_trt.engine.machine import Machine
from gcpose_trt.engine.process import Listener, environment, run_job, terminable
from gcpose_trt.engine.request import BuildRequest
from gcpose_trt.engine.weak_typing import TYPES_SUFFIX
from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.files import check_writable
from gcpose_trt.runtime.bundle import BundlePaths, find
from gcpose_trt.runtime.engine_record import (
    EngineFile,
    EngineRecord,
    PluginLibrary,
    buckets_of,
    file_sha256,
    system_name,
)
from gcpose_trt.runtime.tensorrt_api import MODULES, install_hint

CHECKPOINTS = (".pth", ".pt", ".pkl", ".npz", ".safetensors")
_PACKAGES = {"onnx": "onnx", "onnx_graphsurgeon": "onnx-graphsurgeon"}


@dataclass(frozen=True)
class Sources:
    """The ONNX files of a build.

    Attributes:
        paths: where they lie.
        kept: whether they will still be there afterwards.
    """

    paths: BundlePaths
    kept: bool


def build_engine(request: BuildRequest, listener: Listener, debug: bool = False) -> EngineRecord:
    """Build the engines of a model into `request.output`.

    Args:
        request: what to build.
        listener: told of the progress, see `gcpose_trt.engine.progress.Progress`.
        debug: print tracebacks of the build process.

    Returns:
        The record that was written as `engine.json`.

    Raises:
        GcposeError: anything that the user can put right; nothing is written then.
        KeyboardInterrupt: interrupted or terminated; nothing is written then either.
    """
    request.check()
    start = time.monotonic()
    machine = check_machine(request)
    library = check_plugins(request)
    check_images(request)
    if request.timing_cache not in (None, "off"):
        check_writable(request.timing_cache)
    with terminable(), staging(request.output) as work, sources_of(request, work, listener) as sources:
        machines.check_memory(_needs(request, sources, machine), machine, request.low_memory)
        flags = {"verbose": request.verbose, "debug": debug}
        job = {"job": "prepare", "request": request.to_dict(), "work": str(work), **flags}
        files = {"detector": str(sources.paths.detector), "pose": str(sources.paths.pose)}
        prepared = run_job({**job, **files}, listener)
        gate = None
        if request.max_ap_drop is not None:
            gate = Gate(request, sources.paths, prepared, work, listener, flags)
            gate.measure_float()
        # What cannot be run here is judged by its graph, and before the build.
        verdict = gate.check_graph("the engine is built for other GPUs") if gate and machine is None else None
        built = _build(request, prepared, machine, library, work, listener, flags)
        contents = {
            name: Contents([Layer.from_dict(layer) for layer in part["layers"]], part["io"])
            for name, part in built["parts"].items()
        }
        layers = {name: item.layers for name, item in contents.items()}
        check_precision(request.precision, layers)
        for path in prepared["parts"].values():
            Path(path).unlink()
            Path(path).with_suffix(TYPES_SUFFIX).unlink(missing_ok=True)
        layers_file.write(work, contents)
        record = _record(request, prepared, built, machine, library, work, layers)
        if sources.kept:
            record = replace(record, source={graph: str(Path(path).absolute()) for graph, path in files.items()})
        if gate and verdict is None:
            record.save(work)
            verdict = gate.check_engine(work)
        if verdict is not None:
            record = replace(record, options={**record.options, "gate": verdict})
        record = replace(record, build_seconds=round(time.monotonic() - start, 1))
        record.save(work)
    return record


def _needs(request: BuildRequest, sources: Sources, machine: Machine | None) -> machines.Needs:
    onnx_bytes = sum(path.stat().st_size for path in (sources.paths.detector, sources.paths.pose))
    height, width = request.size or (512, 512)
    return machines.estimate(
        onnx_bytes, height * width, request.batch, request.workspace, request.low_memory, machine is not None
    )


def check_machine(request: BuildRequest) -> Machine | None:
    """Look for what the build needs before any work is done."""
    for module, package in _PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            raise MissingDependencyError(package, "tensorrt", "building engines")
    if importlib.util.find_spec(MODULES[request.target]) is None:
        raise GcposeError(f"{request.target} is not installed for this Python; {install_hint(request.target)}")
    if request.target == "tensorrt-rtx":  # builds for GPUs that need not be here
        return None
    return machines.find_gpu()


def check_plugins(request: BuildRequest) -> PluginLibrary | None:
    if request.target == "tensorrt-rtx":
        return None
    from gcpose_trt.plugins import library

    found = library.describe(library.find(request.plugins))
    return PluginLibrary(found["path"], found["sha256"], found["build"].get("interface"))


def check_images(request: BuildRequest) -> None:
    """Look at what the engine is to be measured on, before any work is done."""
    if request.images is None:
        return
    from gcpose_trt.evaluation.coco import require_pycocotools

    require_pycocotools()
    annotations_of(request)


@contextlib.contextmanager
def sources_of(request: BuildRequest, work: Path, listener: Listener) -> Any:
    """Give the ONNX files of MODEL; of a checkpoint they are exported first, by a process of its own."""
    if Path(request.model).suffix.lower() not in CHECKPOINTS or not Path(request.model).is_file():
        yield Sources(find(request.model), kept=True)
        return
    folder = work / "onnx"
    listener({"event": "stage", "text": f"exporting {request.model}"})
    command = [sys.executable, "-m", "gcpose_trt", "export", str(request.model), "--output", str(folder)]
    if request.max_people is not None:
        command += ["--max-people", str(request.max_people)]
    _export(command, listener)
    yield Sources(BundlePaths(folder / "detector.onnx", folder / "pose.onnx"), kept=False)
    shutil.rmtree(folder)


def _export(command: list[str], listener: Listener) -> None:
    """Run `gcpose-trt export`; its lines show that it is alive, the last of a failed one says why."""
    last = "the export failed without a word; run gcpose-trt export by hand"
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", env=environment()
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                last = line.strip() or last
                listener({"event": "tick"})
        finally:
            if process.poll() is None and sys.exc_info()[0] is not None:
                process.kill()
    if process.returncode != 0:
        raise GcposeError(last.removeprefix("gcpose-trt: error: "))


def _build(
    request: BuildRequest,
    prepared: dict[str, Any],
    machine: Machine | None,
    library: PluginLibrary | None,
    work: Path,
    listener: Listener,
    flags: dict[str, bool],
) -> dict[str, Any]:
    """Run the build process, or one process a graph where memory is short; return what they return, as one."""
    off = request.timing_cache == "off"
    file = None if off or request.timing_cache is None else str(Path(request.timing_cache).absolute())
    if request.reproducible and not off:
        file = _private_cache(request, work, file)
    use_default = file is None and not off and machine is not None
    job = {
        "job": "build",
        "target": request.target,
        "plugins": library.path if library else None,
        "buckets": list(buckets_of(prepared["max_people"])),
        "settings": Settings(
            request.precision, request.workspace, request.low_memory, request.reproducible, file, machine is not None
        ).to_dict(),
        "timing_folder_gpu": machine.gpu.name if use_default and machine is not None else None,
        "work": str(work),
        **flags,
    }
    parts = prepared["parts"]
    groups = [{name: path} for name, path in parts.items()] if request.low_memory else [parts]
    results = [run_job({**job, "parts": group}, listener) for group in groups]
    return {
        **results[0],
        "parts": {name: part for result in results for name, part in result["parts"].items()},
        "notes": [note for result in results for note in result["notes"]],
    }


def _private_cache(request: BuildRequest, work: Path, named: str | None) -> str:
    """Return the cache of a reproducible build: a file beside the engines, begun as a copy of the one given.

    An earlier build's own cache, in the output folder, gives the same choices again.
    """
    path = work / TIMING_CACHE
    for source in (Path(named) if named else None, request.output / TIMING_CACHE):
        if source is not None and source.is_file():
            shutil.copyfile(source, path)
            break
    return str(path)


def _record(
    request: BuildRequest,
    prepared: dict[str, Any],
    built: dict[str, Any],
    machine: Machine | None,
    library: PluginLibrary | None,
    work: Path,
    layers: dict[str, list[Layer]],
) -> EngineRecord:
    people = int(prepared["max_people"])
    size = (int(prepared["size"][0]), int(prepared["size"][1]))
    cache = work / TIMING_CACHE
    options = {name: part["options"] for name, part in built["parts"].items()}
    kept = {"sha256": file_sha256(cache)} if cache.is_file() else {}
    return EngineRecord(
        target=request.target,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        gcpose_trt=__version__,
        tensorrt=built["tensorrt"],
        cuda=machine.cuda if machine else None,
        driver=machine.driver if machine else None,
        gpu=machine.gpu if machine else None,
        os=system_name(),
        precision=request.precision,
        size=size,
        batch=request.batch,
        max_people=people,
        buckets=buckets_of(people),
        gcm="native" if library is None else request.gcm,
        roi_align="native" if library is None else request.roi_align,
        model=prepared["model"],
        onnx_sha256=prepared["onnx_sha256"],
        weights_sha256=prepared["weights_sha256"],
        plugin_library=library,
        files={name: EngineFile.of(work / f"{name}.engine") for name in built["parts"]},
        inspection={name: summary(items) for name, items in layers.items()},
        build_seconds=0.0,
        # With the sizes spelled out: the model's defaults may be others one day.
        command=replace(request, size=size, max_people=people).command,
        outside=tuple(prepared["outside"]),
        options={
            "low_memory": request.low_memory,
            "timing_cache": TIMING_CACHE if kept else built["timing_cache"],
            **({"timing_cache_sha256": kept["sha256"]} if kept else {}),
            "graphs": options,
            **({"int8": prepared["int8"]} if prepared["int8"] else {}),
        },
        notes=(*prepared["notes"], *built["notes"]),
    )
