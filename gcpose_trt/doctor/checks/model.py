"""The engine folder or model of --model, against this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gcpose_trt.doctor import remedies
from gcpose_trt.doctor.check import Check, green, red, yellow
from gcpose_trt.doctor.checks.storage import size
from gcpose_trt.doctor.machine import Situation
from gcpose_trt.errors import GcposeError

if TYPE_CHECKING:
    from gcpose_trt.runtime.engine_record import EngineRecord

# The modules of the runtime are imported where they are used: they need OpenCV, which may be what is broken.
FILE_NAME = "engine.json"
_OPENCV_FIRST = "put that right first, then: gcpose-trt doctor --model {model}"
_ONNX_INSTEAD = "run the ONNX model instead: gcpose-trt demo --model {model}"


def find(model: str) -> None:
    """Refuse a --model that is nothing at all.

    Raises:
        GcposeError: no such engine folder, and no such model.
    """
    if Path(model, FILE_NAME).exists() or Path(model).exists():
        return
    with contextlib.suppress(ImportError):  # the checks have more to say about that
        from gcpose_trt.runtime import bundle

        bundle.find(model)


def check(situation: Situation) -> Iterator[Check]:
    """Check an engine folder or an ONNX model."""
    model = situation.model
    if model is None:
        return
    try:
        from gcpose_trt.runtime import engine_record  # noqa: F401
    except ImportError as error:
        yield red("Model", f"cannot be looked at: {error}", _OPENCV_FIRST.format(model=model))
        return
    path = Path(model)
    if (path.is_file() and path.name == FILE_NAME) or path.suffix == ".engine":
        path = path.parent
    if (path / FILE_NAME).exists():
        yield from _check_engine(situation, path)
    else:
        yield from _check_onnx(situation, model)


def _check_engine(situation: Situation, folder: Path) -> Iterator[Check]:
    from gcpose_trt.runtime.engine_record import EngineRecord

    try:
        record = EngineRecord.load(folder)
    except GcposeError as error:
        yield _refusal("Record", error)
        return
    height, width = record.size
    built = f" on {record.gpu.name} ({record.gpu.compute_capability})" if record.gpu else ""
    yield green(
        "Record",
        f"{record.model.get('model', 'model')}, {record.precision}, {height}x{width}, batch {record.batch}, up to "
        f"{record.max_people} people; {record.target} {record.tensorrt}{built}, {record.created}",
        precision=record.precision,
        size=[height, width],
        target=record.target,
        tensorrt=record.tensorrt,
    )
    try:
        record.check_files(folder)
        total = sum(file.bytes for file in record.files.values())
        yield green("Files", f"{', '.join(file.name for file in record.files.values())}: {size(total)}, undamaged")
    except GcposeError as error:
        yield _refusal("Files", error)
    try:
        record.check_source()
    except GcposeError as error:
        text, remedy = remedies.split(str(error))
        yield yellow("Source", text, remedy)
    yield _fits(situation, record)


def _fits(situation: Situation, record: EngineRecord) -> Check:
    """Compare the record with the TensorRT, the GPU and the plugin library of this machine."""
    from gcpose_trt.runtime.engine_record import Gpu

    probe, driver = situation.probe, situation.machine.driver
    again = _ONNX_INSTEAD.format(model=record.model.get("model", "mobile"))
    if not driver.usable:
        return red("Runs here", "no: engines need an NVIDIA GPU, and there is none that programs can use", again)
    module = "tensorrt_rtx" if record.target == "tensorrt-rtx" else "tensorrt"
    loaded = probe.inspect("tensorrt", module) if probe.module(module) is not None else None
    if loaded is None or loaded.error:
        why = "not installed" if loaded is None else f"cannot be loaded ({loaded.error})"
        return red("Runs here", f"no: {module} is {why}", "see TensorRT above")
    library = probe.inspect("plugin_library").facts
    device = driver.devices[0]
    try:
        record.check_runtime(
            str(loaded.facts["version"]),
            Gpu(str(device["name"]), str(device["compute_capability"])),
            str(library["path"]) if library.get("exists") else None,
        )
    except GcposeError as error:
        return _refusal("Runs here", error)
    return green(
        "Runs here", f"TensorRT {loaded.facts['version']}, {device['name']} and plugins are those of the build"
    )


def _check_onnx(situation: Situation, model: str) -> Iterator[Check]:
    from gcpose_trt.runtime import bundle

    try:
        paths = bundle.find(model)
    except GcposeError as error:
        yield _refusal("ONNX", error)
        return
    total = sum(path.stat().st_size for path in (paths.detector, paths.pose))
    result = situation.probe.inspect("onnxruntime", model, timeout=60.0)
    if result.error:
        yield red("ONNX", f"cannot be tried: {result.error}", "see ONNX Runtime above")
        return
    facts = result.facts
    if facts.get("failure"):
        yield _refusal("ONNX", GcposeError(str(facts["failure"])))
    elif not facts["finite"]:
        yield red("ONNX", f"{paths.detector.parent} gives values that are no numbers", "gcpose-trt export, again")
    else:
        height, width = facts["size"]
        text = f"{facts['model']}, {size(total)}; {width}x{height} pixels in {facts['milliseconds']:.0f} ms, one thread"
        yield green("ONNX", text, **facts)


def _refusal(name: str, error: GcposeError) -> Check:
    text, remedy = remedies.split(str(error))
    return red(name, text, remedy)
