"""Looks inside libraries by loading them, each in a Python process of its own: `Probe.inspect` calls these by name.

A broken native library may abort, hang or print; here that ends one process, not the doctor. Every function returns
JSON values only.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MAJOR, _MINOR, _INTEGRATED = 75, 76, 18  # CUdevice_attribute


def opencv() -> dict[str, Any]:
    """Version, file and build of OpenCV."""
    cv2 = importlib.import_module("cv2")
    return {"version": cv2.__version__, "file": cv2.__file__, "build": cv2.getBuildInformation()}


def pyav() -> dict[str, Any]:
    """Version of PyAV, of its FFmpeg, and the H.264 encoders that open."""
    av = importlib.import_module("av")
    encoders = []
    for name in ("libx264", "libopenh264", "h264_v4l2m2m"):
        try:
            av.CodecContext.create(name, "w")
        except Exception:  # one exception class a version, and some are ValueError
            continue
        encoders.append(name)
    libraries = {name: ".".join(map(str, version)) for name, version in av.library_versions.items()}
    return {
        "version": av.__version__,
        "ffmpeg": getattr(av, "ffmpeg_version_info", None),
        "libraries": libraries,
        "encoders": encoders,
    }


def onnxruntime(model: str) -> dict[str, Any]:
    """Version and providers of ONNX Runtime, and one inference of both graphs of a model on a grey picture.

    Args:
        model: as `bundle.find` takes it.
    """
    import numpy as np
    import onnxruntime as ort

    facts: dict[str, Any] = {
        "version": ort.__version__,
        "providers": ort.get_available_providers(),
        "file": ort.__file__,
    }
    try:
        from gcpose_trt.errors import GcposeError
        from gcpose_trt.runtime import bundle
        from gcpose_trt.runtime.backends.onnxruntime_backend import OnnxRuntimeBackend
    except ImportError as error:  # OpenCV, which the runtime also needs
        return {**facts, "untried": str(error)}
    try:
        backend = OnnxRuntimeBackend(bundle.find(model), threads=1)
        height, width = backend.info.size or (128, 128)
        batch = backend.batch_limit or 1
        start = time.perf_counter()
        image = np.full((batch, height, width, 3), 127, np.uint8)
        found = backend.detect(image, np.tile(np.array([[height, width]], np.int64), (batch, 1)))
        box = np.array([[0, 0, width, height]], np.float32)
        joints = backend.pose(found.p2, box, np.zeros(1, np.int64))
        facts["milliseconds"] = round((time.perf_counter() - start) * 1000, 1)
        facts["size"] = [height, width]
        facts["finite"] = bool(np.isfinite(joints).all() and np.isfinite(found.boxes).all())
        facts["model"] = backend.info.model
    except GcposeError as error:
        facts["failure"] = str(error)
    return facts


def tensorrt(name: str) -> dict[str, Any]:
    """Version of a TensorRT module, and the files of its libraries as this process has mapped them.

    Args:
        name: "tensorrt", "tensorrt_rtx" or "tensorrt_lean".
    """
    module = importlib.import_module(name)
    if not hasattr(module, "__version__"):
        raise ImportError(f"{name} is an empty folder of that name, not the module")
    libraries = mapped_libraries()
    main = main_library(libraries)
    return {
        "version": str(module.__version__),
        "file": module.__file__,
        "libraries": libraries,
        "library": main,
        "library_version": _library_version(main),
    }


def mapped_libraries(maps: str | None = None) -> list[str]:
    """Return the files of TensorRT's libraries in a table of mappings, by default that of this process."""
    text = Path("/proc/self/maps").read_text() if maps is None else maps
    found = re.findall(r"(/\S.*/lib(?:nvinfer|tensorrt|nvonnxparser)[^/\n]*\.so[^/\n]*)$", text, re.MULTILINE)
    return sorted(set(found))


def main_library(libraries: list[str]) -> str | None:
    """Return the library that holds TensorRT itself, not its parser, plugins or dispatchers."""
    pattern = re.compile(r"lib(nvinfer|nvinfer_lean|tensorrt_rtx)\.so[.\d]*$")
    return next((path for path in libraries if pattern.search(path)), None)


def _library_version(path: str | None) -> str | None:
    """Ask the library itself: "10.3.0" of 100300, and 8503 before version 10."""
    if path is None:
        return None
    try:
        number = int(ctypes.CDLL(path).getInferLibVersion())
    except (OSError, AttributeError):
        return None
    major, minor = (10000, 100) if number >= 10000 else (1000, 100)
    return f"{number // major}.{number % major // minor}.{number % minor}"


def cuda_driver() -> dict[str, Any]:
    """What the CUDA driver says: {"found": whether there is a library, "code": of cuInit, "cuda", "devices"}."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return {"found": False, "reason": str(error)}
    version, count = ctypes.c_int(), ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    facts: dict[str, Any] = {"found": True, "cuda": cuda_version(version.value), "devices": []}
    facts["code"] = cuda.cuInit(0)
    if facts["code"] == 0:
        cuda.cuDeviceGetCount(ctypes.byref(count))
        facts["devices"] = [_device(cuda, index) for index in range(count.value)]
    with Path("/proc/self/maps").open() as maps:
        found = re.findall(r"(/\S*/libcuda\.so\S*)$", maps.read(), re.MULTILINE)
    facts["library"] = found[0] if found else None
    return facts


def _device(cuda: ctypes.CDLL, index: int) -> dict[str, Any]:
    device, total = ctypes.c_int(), ctypes.c_size_t()
    name = ctypes.create_string_buffer(256)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, 256, device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(total), device)

    def attribute(number: int) -> int:
        value = ctypes.c_int()
        cuda.cuDeviceGetAttribute(ctypes.byref(value), number, device)
        return value.value

    return {
        "name": name.value.decode(errors="replace"),
        "compute_capability": f"{attribute(_MAJOR)}.{attribute(_MINOR)}",
        "memory": total.value,
        "integrated": bool(attribute(_INTEGRATED)),
    }


def cuda_version(number: int) -> str:
    """Return "13.0" of 13000."""
    return f"{number // 1000}.{number % 1000 // 10}"


def cuda_runtime() -> dict[str, Any]:
    """The CUDA runtime library that the loader finds, newest first; {"cuda": None} if there is none."""
    for name in ("libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0"):
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        version = ctypes.c_int()
        library.cudaRuntimeGetVersion(ctypes.byref(version))
        return {"cuda": cuda_version(version.value), "library": name}
    return {"cuda": None}


def cuda_python() -> dict[str, Any]:
    """Whether cuda-python imports; it does without a driver."""
    try:
        importlib.import_module("cuda.bindings.driver")
    except ModuleNotFoundError:
        importlib.import_module("cuda.cuda")  # before 12.6
    return {}


def pycuda() -> dict[str, Any]:
    """Whether pycuda imports, which needs libcuda."""
    driver = importlib.import_module("pycuda.driver")
    return {"cuda": ".".join(map(str, driver.get_version()))}


def plugin_library() -> dict[str, Any]:
    """Our plugin library as `gcpose_trt.plugins.library.describe` tells it; {"path", "exists"} if it is not built."""
    from gcpose_trt.errors import GcposeError
    from gcpose_trt.plugins import library

    path = library.default_path()
    path = path / library.LIBRARY_NAME if path.is_dir() else path
    facts: dict[str, Any] = {"path": str(path), "exists": path.is_file()}
    if path.is_file():
        try:
            facts |= library.describe(path)
        except GcposeError as error:
            facts["failure"] = str(error)
    return facts


def creators(module: str, library: str) -> dict[str, Any]:
    """Load our plugin library into TensorRT's registry.

    Args:
        module: "tensorrt" or "tensorrt_lean".
        library: path of the plugin library.

    Returns:
        {"found", "missing": our plugins that are there afterwards and that are not; "failure": the reason, None if all
        went well; "tensorrt": its version}.
    """
    from gcpose_trt.errors import GcposeError
    from gcpose_trt.plugins.library import CREATORS, load_into, missing_creators

    trt = importlib.import_module(module)
    registry = trt.get_plugin_registry()
    failure = None
    try:
        load_into(registry, library)
    except GcposeError as error:
        failure = str(error)
    missing = missing_creators(registry)
    found = [name for name in CREATORS if name not in missing]
    return {"found": found, "missing": missing, "failure": failure, "tensorrt": str(trt.__version__)}


def headers() -> dict[str, Any]:
    """TensorRT's headers and the C++ compiler, as building the plugin library finds them."""
    from gcpose_trt.errors import GcposeError
    from gcpose_trt.plugins import toolchain

    try:
        toolchain.check_host_compiler()
        found = toolchain.find_headers()
    except GcposeError as error:
        return {"failure": str(error)}
    return {"folder": str(found.folder), "version": found.text, "borrowed": found.borrowed}


_SUBJECTS: dict[str, Callable[..., dict[str, Any]]] = {
    function.__name__: function
    for function in (
        opencv,
        pyav,
        onnxruntime,
        tensorrt,
        cuda_driver,
        cuda_runtime,
        cuda_python,
        pycuda,
        plugin_library,
        creators,
        headers,
    )
}


def main(arguments: list[str]) -> None:
    """Print {"facts", "error"} of one inspection as the last line of the standard output."""
    facts: dict[str, Any] = {}
    error = ""
    try:
        facts = _SUBJECTS[arguments[0]](*arguments[1:])
    except BaseException as failure:  # a library may even call sys.exit
        lines = str(failure).strip().splitlines()
        error = lines[0][:300] if lines else type(failure).__name__
    print("\n" + json.dumps({"facts": facts, "error": error}), flush=True)
    # Some libraries crash while Python shuts down, which would hide the answer.
    os._exit(0)
