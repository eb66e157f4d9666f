"""What a folder of TensorRT engines says of itself: `engine.json`, written last, read before anything is deserialised.

Engines run on the TensorRT version, GPU and system they were built for and need the plugin library of their build.
TensorRT reports each of these as an internal error, late; here every mismatch has its own message and the command that
puts it right. Knows no TensorRT, so that the record can be read on any machine.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write
from gcpose_trt.runtime.info import ModelInfo

FORMAT = 1
KIND = "gcpose-trt engine"
FILE_NAME = "engine.json"
TARGETS = ("tensorrt", "tensorrt-rtx")
PRECISIONS = ("fp32", "fp16", "int8")
_MAKE_ONE = "make one with: gcpose-trt build-engine mobile --output DIR"


@dataclass(frozen=True)
class Gpu:
    """The GPU that an engine was built on or is to run on.

    Attributes:
        name: as the driver gives it, "Orin" or "NVIDIA H200".
        compute_capability: "8.7".
    """

    name: str
    compute_capability: str


@dataclass(frozen=True)
class EngineFile:
    """One file of the folder.

    Attributes:
        name: its name in the folder.
        sha256: digest of its contents.
        bytes: its length.
    """

    name: str
    sha256: str
    bytes: int

    @classmethod
    def of(cls, path: Path) -> EngineFile:
        """Describe the file at `path`."""
        return cls(path.name, file_sha256(path), path.stat().st_size)


@dataclass(frozen=True)
class PluginLibrary:
    """The plugin library that an engine was built with.

    Attributes:
        path: where it lay.
        sha256: digest of its contents.
        interface: "v3", "v2", or None where the library does not say.
    """

    path: str
    sha256: str
    interface: str | None = None


@dataclass(frozen=True)
class EngineRecord:
    """The contents of `engine.json`.

    Attributes:
        target: "tensorrt" or "tensorrt-rtx".
        created: time of the build, ISO 8601 with the offset to UTC.
        gcpose_trt: version of this package that built it.
        tensorrt: version of TensorRT that built it, "10.3.0".
        cuda: version of CUDA that TensorRT was made with, None where it does not say.
        driver: version of the driver, None where there was none.
        gpu: the GPU, None where the engine was built without one (tensorrt-rtx).
        os: as `system_name` gives it, "linux-x86_64".
        precision: "fp32", "fp16" or "int8".
        size: (H, W) of the only input that it takes.
        batch: frames in a call of the detector.
        max_people: most people in a call of the pose graph.
        buckets: numbers of people that the pose engine has a profile for, rising; the last is `max_people`.
        gcm: "plugin" or "native", what computes the attention of the GCM.
        roi_align: "plugin" or "native", what computes RoIAlign.
        model: the model's own record, see `ModelInfo.from_dict`.
        onnx_sha256: digest of each ONNX file that it was built from, by graph.
        weights_sha256: digest of the weights that the ONNX files were made from.
        plugin_library: None where the engine has no plugin in it.
        files: the engines, by the name of the graph ("detector", "pose"; for tensorrt-rtx, of the part of one).
        inspection: for each of `files`, {"layers": n, "by_precision": {"FP16": n, ...}} from TensorRT's inspector.
        build_seconds: how long the build took.
        command: the command that builds it again.
        source: where the ONNX files lay, by graph.
        outside: parts of the model that are not in the engines and run elsewhere (tensorrt-rtx).
        options: how it was built: workspace, timing cache, what made it reproducible.
        notes: what the builder had to say of the result, one line each.
    """

    target: str
    created: str
    gcpose_trt: str
    tensorrt: str
    cuda: str | None
    driver: str | None
    gpu: Gpu | None
    os: str
    precision: str
    size: tuple[int, int]
    batch: int
    max_people: int
    buckets: tuple[int, ...]
    gcm: str
    roi_align: str
    model: dict[str, Any]
    onnx_sha256: dict[str, str]
    weights_sha256: str
    plugin_library: PluginLibrary | None
    files: dict[str, EngineFile]
    inspection: dict[str, dict[str, Any]]
    build_seconds: float
    command: str
    source: dict[str, str] = field(default_factory=dict)
    outside: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> EngineRecord:
        """Read the record of an engine folder.

        Raises:
            GcposeError: no such folder, no record in it, or one that is damaged or of another format.
        """
        path = Path(folder) / FILE_NAME
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError) as error:
            if not Path(folder).is_dir():
                raise GcposeError(f"no engine folder {fspath(folder)!r}; {_MAKE_ONE}") from error
            raise GcposeError(
                f"{folder} has no {FILE_NAME}, so it is no complete engine folder; {_MAKE_ONE}"
            ) from error
        except UnicodeDecodeError as error:
            raise GcposeError(f"{path} is damaged (not text); build the engine again") from error
        except OSError as error:
            raise GcposeError(f"cannot read {path} ({error.strerror}); check its permissions") from error
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise GcposeError(f"{path} is damaged or cut short ({error}); build the engine again") from error
        return cls.from_dict(record, str(path))

    @classmethod
    def from_dict(cls, record: Any, origin: str) -> EngineRecord:
        """Read the JSON object of a record; keys that this version does not know are left alone.

        Args:
            record: the JSON value.
            origin: where it comes from, for error messages.

        Raises:
            GcposeError: another kind or format, or fields missing or of the wrong type.
        """
        if not isinstance(record, dict) or record.get("kind") != KIND:
            raise GcposeError(f"{origin} is not the record of an engine of gcpose-trt; {_MAKE_ONE}")
        if record.get("format") != FORMAT:
            raise GcposeError(
                f"{origin} has engine format {record.get('format')!r}, this version reads {FORMAT}; "
                f"{_again(record.get('command'))}"
            )
        try:
            result = _parse(record)
            result.model_info(origin)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise GcposeError(
                f"{origin} is incomplete or damaged ({error!r}); {_again(record.get('command'))}"
            ) from error
        return result

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {"format": FORMAT, "kind": KIND, **asdict(self)}

    def save(self, folder: str | PathLike[str]) -> Path:
        """Write the record into a folder and return its path. Called last: it makes the folder complete."""
        path = Path(folder) / FILE_NAME
        with atomic_write(path, "w") as stream:
            json.dump(self.to_dict(), stream, indent=1)
            stream.write("\n")
        return path

    def model_info(self, origin: str = FILE_NAME) -> ModelInfo:
        """Return the model's defaults, with the size and number of people that the engine is for."""
        return replace(ModelInfo.from_dict(self.model, origin), size=self.size, max_people=self.max_people)

    @property
    def rebuild(self) -> str:
        """What to do about an engine that does not fit: the end of an error message."""
        return _again(self.command)

    def check_files(self, folder: str | PathLike[str]) -> dict[str, Path]:
        """Compare the files of the folder with the record.

        Returns:
            The path of each file, by graph.

        Raises:
            GcposeError: a file is missing, cut short or changed.
        """
        paths = {graph: Path(folder) / file.name for graph, file in self.files.items()}
        for graph, path in paths.items():
            file = self.files[graph]
            try:
                size = path.stat().st_size
                if size < file.bytes:
                    raise GcposeError(f"{path} is cut short, {size} bytes of {file.bytes}; {self.rebuild}")
                if size != file.bytes or file_sha256(path) != file.sha256:
                    raise GcposeError(f"{path} is not the file that {FILE_NAME} describes; {self.rebuild}")
            except FileNotFoundError as error:
                raise GcposeError(f"{path} is missing; {self.rebuild}") from error
            except OSError as error:
                raise GcposeError(f"cannot read {path} ({error.strerror}); check its permissions") from error
        return paths

    def check_runtime(
        self, tensorrt_version: str, gpu: Gpu | None, plugin_path: str | PathLike[str] | None = None
    ) -> None:
        """Compare the record with what is about to run the engine.

        Args:
            tensorrt_version: version of the TensorRT (or TensorRT-RTX) that is loaded.
            gpu: the GPU that will run it; None skips that comparison.
            plugin_path: the plugin library that will be loaded; None where there is none.

        Raises:
            GcposeError: another TensorRT, GPU, system or plugin library; each in its own words.
        """
        if _release(tensorrt_version) != _release(self.tensorrt):
            raise GcposeError(
                f"the engine was built with TensorRT {self.tensorrt}, this is {tensorrt_version}; {self.rebuild}"
            )
        if self.os != system_name():
            raise GcposeError(f"the engine was built on {self.os}, this is {system_name()}; {self.rebuild}")
        if gpu is not None and self.gpu is not None:
            self._check_gpu(gpu, self.gpu)
        self._check_plugins(plugin_path)

    def _check_gpu(self, here: Gpu, built: Gpu) -> None:
        if here.compute_capability != built.compute_capability:
            raise GcposeError(
                f"the engine was built for {built.name} (compute capability {built.compute_capability}), this GPU is "
                f"{here.name} ({here.compute_capability}); {self.rebuild}"
            )
        if here.name != built.name:
            # TensorRT only warns here, and then may run slowly or fail when memory or multiprocessors are fewer.
            raise GcposeError(
                f"the engine was built on {built.name}, this is {here.name}: the same architecture, another GPU; "
                f"{self.rebuild}"
            )

    def _check_plugins(self, plugin_path: str | PathLike[str] | None) -> None:
        if self.plugin_library is None:
            return
        if plugin_path is None:
            raise GcposeError(
                f"the engine needs the plugin library that it was built with ({self.plugin_library.path}); "
                "build it with: gcpose-trt plugins build"
            )
        try:
            digest = file_sha256(Path(plugin_path))
        except OSError as error:
            raise GcposeError(
                f"cannot read the plugin library {plugin_path} ({error.strerror}); "
                "build it with: gcpose-trt plugins build"
            ) from error
        if digest != self.plugin_library.sha256:
            raise GcposeError(
                f"the plugin library {plugin_path} is not the one that the engine was built with; {self.rebuild}"
            )

    def check_source(self) -> None:
        """Compare the record with the ONNX files that it was built from, where they still are.

        Raises:
            GcposeError: one of them has changed since.
        """
        for graph, name in self.source.items():
            path = Path(name)
            try:
                changed = path.is_file() and file_sha256(path) != self.onnx_sha256[graph]
            except OSError:  # no longer readable: as good as not there
                continue
            if changed:
                raise GcposeError(f"{path} has changed since the engine was built from it; {self.rebuild}")


def system_name() -> str:
    """Return the system that engines are tied to, "linux-x86_64" or "linux-aarch64"."""
    return f"{sys.platform}-{platform.machine().lower()}"


def buckets_of(max_people: int) -> tuple[int, ...]:
    """Return the numbers of people that a pose engine has a profile for: powers of two below `max_people`, and it."""
    powers: list[int] = []
    while 2 ** len(powers) < max_people:
        powers.append(2 ** len(powers))
    return (*powers, max_people)


def file_sha256(path: Path) -> str:
    """Return the hexadecimal digest of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _again(command: object) -> str:
    return f"build it again: {command}" if isinstance(command, str) and command else "build the engine again"


def _release(version: str) -> list[str]:
    """The parts of a version that a plan is tied to; some packages give a build number after them."""
    return version.split("+")[0].split(".")[:3]


def _parse(record: Mapping[str, Any]) -> EngineRecord:
    known = {item.name for item in fields(EngineRecord)}
    values = {key: value for key, value in record.items() if key in known}
    for item in ("created", "gcpose_trt", "tensorrt", "os", "weights_sha256", "command"):
        if not isinstance(values[item], str):
            raise TypeError(f"{item} is no text")
    for item, choices in {"target": TARGETS, "precision": PRECISIONS}.items():
        if values[item] not in choices:
            raise ValueError(f"{item} {values[item]!r}")
    for item in ("model", "onnx_sha256", "inspection", "source", "options"):
        if not isinstance(values.setdefault(item, {}), dict):
            raise TypeError(f"{item} is no object")
    height, width = (int(side) for side in values["size"])
    buckets = tuple(int(count) for count in values["buckets"])
    values |= {"size": (height, width), "buckets": buckets}
    values |= {"batch": int(values["batch"]), "max_people": int(values["max_people"])}
    if not buckets or list(buckets) != sorted(set(buckets)) or buckets[-1] != values["max_people"]:
        raise ValueError(f"buckets {buckets}")
    values["build_seconds"] = float(values["build_seconds"])
    values["gpu"] = None if values["gpu"] is None else Gpu(**values["gpu"])
    library = values["plugin_library"]
    values["plugin_library"] = None if library is None else PluginLibrary(**library)
    values["files"] = {graph: _file(entry) for graph, entry in values["files"].items()}
    for item in ("outside", "notes"):
        values[item] = tuple(str(line) for line in values.get(item, ()))
    return EngineRecord(**values)


def _file(entry: Mapping[str, Any]) -> EngineFile:
    file = EngineFile(str(entry["name"]), str(entry["sha256"]), int(entry["bytes"]))
    if not file.name or file.name != Path(file.name).name:  # a record must not point out of its folder
        raise ValueError(f"file name {file.name!r}")
    return file
