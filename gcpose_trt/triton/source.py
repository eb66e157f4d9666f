"""What a model repository is made from: the two files of a model, or two engines, and what goes in and out of them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime import bundle
from gcpose_trt.runtime.engine_record import EngineRecord, buckets_of, file_sha256
from gcpose_trt.runtime.info import ModelInfo

RUNTIMES = ("auto", "onnxruntime", "tensorrt", "python")
PRECISIONS = ("fp32", "int8")
# Names of ONNX Runtime and of NumPy.
_TYPES = {
    "uint8": "UINT8",
    "int32": "INT32",
    "int64": "INT64",
    "float": "FP32",
    "float32": "FP32",
    "float16": "FP16",
}


@dataclass(frozen=True)
class Tensor:
    """An input or output.

    Attributes:
        name: as in the graph.
        kind: Triton's name of the type, "FP32".
        shape: with the batch, -1 where dynamic.
    """

    name: str
    kind: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Half:
    """One of the two graphs.

    Attributes:
        file: ONNX file or engine.
        inputs: in the graph's order.
        outputs: likewise.
    """

    file: Path
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Source:
    """A model to export.

    Attributes:
        runtime: "onnxruntime", "tensorrt" or "python".
        precision: "fp32", "fp16" or "int8".
        info: its defaults.
        record: the JSON object that they were read from.
        detector: the half that finds people.
        pose: the half that finds their joints.
        batch_limit: the only number of frames that the detector takes, None for any.
        buckets: the only numbers of people that the pose half takes; empty for any.
        engine: the record of a folder of engines, else None.
        plugins: the plugin library that the engines need, else None.
    """

    runtime: str
    precision: str
    info: ModelInfo
    record: dict[str, Any]
    detector: Half
    pose: Half
    batch_limit: int | None = None
    buckets: tuple[int, ...] = ()
    engine: EngineRecord | None = None
    plugins: Path | None = None

    @property
    def int64(self) -> bool:
        """Whether sizes and indices are int64; in engines of TensorRT before 10 they are int32."""
        return all(tensor.kind != "INT32" for tensor in self.pose.inputs)


def open_source(model: str, runtime: str = "auto", precision: str | None = None) -> Source:
    """Find a model and look what goes in and out of it.

    Args:
        model: a shipped name, a folder with detector.onnx and pose.onnx, either file, or a folder of TensorRT engines.
        runtime: one of `RUNTIMES`; "auto" is tensorrt for engines, else onnxruntime.
        precision: "fp32" or "int8"; None is what the files are.

    Raises:
        GcposeError: no such model, or one that this runtime does not run.
    """
    if runtime not in RUNTIMES:
        raise GcposeError(f"no runtime is called {runtime!r}; choose one of {', '.join(RUNTIMES)}")
    if Path(model).suffix in (".pth", ".pt"):
        raise GcposeError(
            f"{model} is a checkpoint, which no server runs; first: gcpose-trt export {model} --output DIR"
        )
    engines = bundle.engine_folder(model)
    if runtime == "auto":
        runtime = "onnxruntime" if engines is None else "tensorrt"
    if runtime == "tensorrt":
        if engines is None:
            raise GcposeError(
                f"{model} is no folder of TensorRT engines; build them with: gcpose-trt build-engine {model} --output "
                "DIR, and export DIR"
            )
        return _engines(engines, precision)
    if engines is not None:
        raise GcposeError(
            f"{engines} holds TensorRT engines, which runtime {runtime} does not run; choose --runtime tensorrt, or "
            "give the model that they were built from"
        )
    return _graphs(bundle.find(model), runtime, precision)


def _graphs(paths: bundle.BundlePaths, runtime: str, precision: str | None) -> Source:
    from gcpose_trt.runtime.backends.onnxruntime_backend import OnnxRuntimeBackend

    backend = OnnxRuntimeBackend(paths, precision="int8" if precision == "int8" else "fp32")
    if precision == "fp32" and backend.precision != "fp32":
        raise GcposeError(
            f"{paths.detector.parent} is quantized to INT8; leave --precision out, or give the float model"
        )
    files = {"detector": backend.paths.detector, "pose": backend.paths.pose}
    halves = {
        graph: Half(
            files[graph],
            tuple(_onnx_tensor(value) for value in session.get_inputs()),
            tuple(_onnx_tensor(value) for value in session.get_outputs()),
        )
        for graph, session in backend.sessions.items()
    }
    text = backend.sessions["detector"].get_modelmeta().custom_metadata_map[bundle.METADATA_KEY]
    return Source(
        runtime=runtime,
        precision=backend.precision,
        info=backend.info,
        record=json.loads(text),
        detector=halves["detector"],
        pose=halves["pose"],
        batch_limit=backend.batch_limit,
    )


def _onnx_tensor(value: Any) -> Tensor:
    found = re.fullmatch(r"tensor\((\w+)\)", value.type)
    shape = tuple(side if isinstance(side, int) else -1 for side in value.shape)
    return Tensor(value.name, _TYPES[found[1]] if found else value.type, shape)


def _engines(folder: Path, precision: str | None) -> Source:
    from gcpose_trt.engine import layers_file

    record = EngineRecord.load(folder)
    if record.target != "tensorrt":
        raise GcposeError(
            f"{folder} was built for {record.target}, which Triton does not run; build it with: gcpose-trt "
            "build-engine --target tensorrt"
        )
    if precision is not None and precision != record.precision:
        raise GcposeError(
            f"{folder} was built in {record.precision}, not {precision}; leave --precision out, or build another with: "
            f"gcpose-trt build-engine --precision {precision}"
        )
    if not set(bundle.GRAPHS) <= set(record.files):
        raise GcposeError(f"{folder} has no engine of the detector or of the pose half; {record.rebuild}")
    files = record.check_files(folder)
    contents = layers_file.read(folder)
    try:
        halves = {graph: _engine_half(files[graph], contents[graph].io) for graph in bundle.GRAPHS}
    except (KeyError, TypeError, ValueError) as error:
        raise GcposeError(f"{folder / layers_file.NAME} is damaged ({error!r}); {record.rebuild}") from error
    return Source(
        runtime="tensorrt",
        precision=record.precision,
        info=record.model_info(str(folder)),
        record={**record.model, "size": list(record.size), "max_people": record.max_people},
        detector=halves["detector"],
        pose=halves["pose"],
        batch_limit=record.batch,
        buckets=record.buckets or buckets_of(record.max_people),
        engine=record,
        plugins=_plugins(record),
    )


def _engine_half(file: Path, io: Sequence[Mapping[str, Any]]) -> Half:
    tensors = [(Tensor(item["name"], _TYPES[item["dtype"]], tuple(map(int, item["shape"]))), item) for item in io]
    return Half(
        file,
        tuple(tensor for tensor, item in tensors if item["is_input"]),
        tuple(tensor for tensor, item in tensors if not item["is_input"]),
    )


def _plugins(record: EngineRecord) -> Path | None:
    """Return the plugin library that the engines were built with."""
    from gcpose_trt.plugins import library

    if record.plugin_library is None:
        return None
    wanted = record.plugin_library
    for path in (library.default_path(), Path(wanted.path)):
        try:
            if path.is_file() and file_sha256(path) == wanted.sha256:
                return path
        except OSError:  # not readable: as good as not there
            continue
    raise GcposeError(
        f"the engines need the plugin library that they were built with ({wanted.path}), which is not here; set "
        f"{library.ENVIRONMENT} to {os.fspath(Path(wanted.path).name)}, or export on the machine that built them"
    )
