"""The one door to TensorRT's Python module: what this installation offers, its log, and its plugin registry.

Serves TensorRT 8.5 to 11 and TensorRT-RTX. Every difference between them is probed by name, never derived from the
version. Only modules that build or run engines import TensorRT, and only through `load`.
"""

from __future__ import annotations

import collections
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from gcpose_trt.errors import GcposeError
from gcpose_trt.plugins import library

MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
# NumPy's names; by the names of the members of DataType.
_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "BOOL": "bool",
}
_KEPT_LINES = 400


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of an engine.

    Attributes:
        name: as in the ONNX graph.
        dtype: NumPy's name of the type, "float32"; TensorRT's own, lower case, where NumPy has none.
        shape: -1 where dynamic.
        is_input: False for an output.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    is_input: bool


class Log:
    """What TensorRT said: the last lines, and all errors apart.

    Attributes:
        lines: (severity, text) of the last few hundred lines; severities are "internal error", "error", "warning",
            "info" and "verbose".
        errors: texts of the errors, oldest first.
        listener: called with (severity, text) of each line as it comes, from any of TensorRT's threads.
    """

    def __init__(self) -> None:
        self.lines: collections.deque[tuple[str, str]] = collections.deque(maxlen=_KEPT_LINES)
        self.errors: list[str] = []
        self.listener: Callable[[str, str], None] | None = None

    def add(self, severity: str, text: str) -> None:
        """Take one line; must not raise, TensorRT calls it from C++."""
        self.lines.append((severity, text))
        if "error" in severity and len(self.errors) < _KEPT_LINES:
            self.errors.append(text)
        if self.listener is not None:
            self.listener(severity, text)

    def reason(self, start: int = 0) -> str:
        """Return the first error from number `start` on, as one line, or a plain phrase if there was none.

        The first is the cause; those after it report that its callers failed too.
        """
        text = " ".join(self.errors[start].split()) if len(self.errors) > start else "TensorRT gave no reason"
        return text[:400]


class TensorRT:
    """TensorRT's module with one logger.

    Args:
        module: `tensorrt`, `tensorrt_rtx` or a module of the same names.
        target: "tensorrt" or "tensorrt-rtx".

    Attributes:
        module: the module itself.
        target: see above.
        log: what TensorRT says.
        logger: the ILogger that every object of TensorRT must be made with; TensorRT keeps the first one for good.
    """

    def __init__(self, module: ModuleType, target: str = "tensorrt") -> None:
        self.module = module
        self.target = target
        self.log = Log()
        self.logger = _make_logger(module, self.log)

    @property
    def version(self) -> str:
        """Version of TensorRT, "10.3.0"."""
        return str(self.module.__version__)

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return "TensorRT-RTX" if self.target == "tensorrt-rtx" else "TensorRT"

    @property
    def file(self) -> str | None:
        """The file that the module came from."""
        return getattr(self.module, "__file__", None)

    @property
    def supports_int64(self) -> bool:
        """Whether an engine's inputs and outputs may be int64; before TensorRT 10 they are int32 instead."""
        return hasattr(self.module.DataType, "INT64")

    @property
    def strongly_typed_flag(self) -> int | None:
        """Flag of `create_network` for a network whose types are the graph's own, None where there is no such thing."""
        return self._network_flag("STRONGLY_TYPED")

    @property
    def explicit_batch_flag(self) -> int | None:
        """Flag of `create_network` that TensorRT 8 needs for ONNX and that 10 ignores."""
        return self._network_flag("EXPLICIT_BATCH")

    @property
    def weakly_typed_flags(self) -> dict[str, Any]:
        """The builder flags that let TensorRT choose types: "FP16", "INT8"; empty from TensorRT 11 on."""
        flags = getattr(self.module, "BuilderFlag", None)
        return {name: getattr(flags, name) for name in ("FP16", "INT8") if hasattr(flags, name)}

    def _network_flag(self, name: str) -> int | None:
        flags = getattr(self.module, "NetworkDefinitionCreationFlag", None)
        return None if not hasattr(flags, name) else 1 << int(getattr(flags, name))

    def missing_plugins(self) -> list[str]:
        """Return those of our plugins that the registry does not have."""
        return library.missing_creators(self.module.get_plugin_registry())

    def load_plugins(self, path: str | os.PathLike[str]) -> None:
        """Load TensorRT's own plugins and our library, and check that its creators are there; may be called again.

        Raises:
            GcposeError: the library cannot be loaded, or lacks a creator.
        """
        # Some parsers turn standard operators into plugins of NVIDIA's, as 8.5 does with RoiAlign.
        if hasattr(self.module, "init_libnvinfer_plugins"):
            self.module.init_libnvinfer_plugins(self.logger, "")
        library.load_into(self.module.get_plugin_registry(), path)

    def runtime(self) -> Any:
        """Return an IRuntime.

        Raises:
            GcposeError: TensorRT cannot start, which without a GPU is the rule.
        """
        seen = len(self.log.errors)
        try:
            runtime = self.module.Runtime(self.logger)
        except (RuntimeError, TypeError) as error:  # pybind11 gives TypeError where a factory returns null
            raise self._no_start(seen) from error
        if runtime is None:
            raise self._no_start(seen)
        return runtime

    def _no_start(self, seen: int) -> GcposeError:
        return GcposeError(f"{self.name} cannot start ({self.log.reason(seen)}); check the GPU with: gcpose-trt doctor")

    def deserialize(self, plan: Any, origin: str, runtime: Any = None) -> Any:
        """Return the ICudaEngine of a plan.

        Args:
            plan: contents of an engine file, or the builder's own buffer, which is not copied.
            origin: where they come from, for messages.
            runtime: made here if None. It must outlive the engine; TensorRT's Python objects see to that themselves.

        Raises:
            GcposeError: TensorRT refuses the plan.
        """
        runtime = self.runtime() if runtime is None else runtime
        seen = len(self.log.errors)
        try:
            engine = runtime.deserialize_cuda_engine(plan)
        except (RuntimeError, TypeError) as error:
            raise GcposeError(f"{self.name} refuses {origin} ({_line(error)}); build the engine again") from error
        if engine is None:
            raise GcposeError(f"{self.name} refuses {origin} ({self.log.reason(seen)}); build the engine again")
        return engine

    def io(self, engine: Any) -> list[TensorInfo]:
        """Return the inputs and outputs of an engine, in TensorRT's order."""
        inputs = self.module.TensorIOMode.INPUT
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        return [
            TensorInfo(
                name,
                self.dtype_name(engine.get_tensor_dtype(name)),
                tuple(int(side) for side in engine.get_tensor_shape(name)),
                engine.get_tensor_mode(name) == inputs,
            )
            for name in names
        ]

    def dtype_name(self, dtype: Any) -> str:
        """Return NumPy's name of a member of DataType."""
        member = str(dtype).rsplit(".", 1)[-1]
        return _DTYPES.get(member, member.lower())


def load(target: str = "tensorrt") -> TensorRT:
    """Import TensorRT.

    Args:
        target: "tensorrt" or "tensorrt-rtx".

    Raises:
        GcposeError: it is not installed, or its libraries cannot be loaded; the message says how to install it here.
    """
    try:
        module = importlib.import_module(MODULES[target])
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == MODULES[target]:
            raise GcposeError(f"{target} is not installed for this Python; {install_hint(target)}") from error
        raise GcposeError(f"{target} cannot be loaded ({_line(error)}); {install_hint(target)}") from error
    except (OSError, RuntimeError) as error:  # a shared library of another CUDA or glibc
        raise GcposeError(f"{target} cannot be loaded ({_line(error)}); {install_hint(target)}") from error
    if not hasattr(module, "__version__"):
        # A folder called tensorrt in the working directory imports as an empty namespace package.
        raise GcposeError(f"{target} is not installed for this Python; {install_hint(target)}")
    return TensorRT(module, target)


def is_jetson() -> bool:
    """Tell whether this is an NVIDIA Jetson, where TensorRT comes with JetPack."""
    if Path("/etc/nv_tegra_release").exists():
        return True
    try:
        return "nvidia" in Path("/proc/device-tree/compatible").read_text(errors="replace").lower()
    except OSError:
        return False


def install_hint(target: str) -> str:
    """Return how to install TensorRT on this machine: the end of an error message."""
    if target == "tensorrt-rtx":
        return "install it with: pip install tensorrt-rtx-cu13"
    if is_jetson():
        return (
            "JetPack brings it: sudo apt install python3-libnvinfer, and make the virtual environment of the system's "
            "python3 with --system-site-packages"
        )
    return "install it with: pip install tensorrt-cu13 (with a driver for CUDA 12 only: tensorrt-cu12)"


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def _make_logger(module: ModuleType, log: Log) -> Any:
    severities = {
        getattr(module.ILogger.Severity, member): text
        for member, text in {
            "INTERNAL_ERROR": "internal error",
            "ERROR": "error",
            "WARNING": "warning",
            "INFO": "info",
            "VERBOSE": "verbose",
        }.items()
    }

    class Logger(module.ILogger):  # type: ignore[name-defined]
        """Hands every line to `log`."""

        def __init__(self) -> None:
            module.ILogger.__init__(self)  # pybind11 refuses an object whose base was not initialised

        def log(self, severity: Any, msg: str) -> None:
            log.add(severities.get(severity, "info"), msg)

    return Logger()
