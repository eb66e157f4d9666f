"""The built plugin library: where it lies, what it is, and bringing its creators to TensorRT."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from gcpose_trt.errors import GcposeError

LIBRARY_NAME = "libgcpose_plugins.so"
ENVIRONMENT = "GCPOSE_PLUGINS"  # names the library to take
CREATORS = ("MultiLevelRoiAlign", "GcmAttention", "Nms", "KeypointDecode")
CREATOR_VERSION = "1"
_BUILD = "build it with: gcpose-trt plugins build"
_REBUILD = "build it again with: gcpose-trt plugins build"


def default_path() -> Path:
    """Return where the library is built to and looked for.

    That is $GCPOSE_PLUGINS if it is set, the path of the file; else a folder of the user's cache.
    """
    if os.environ.get(ENVIRONMENT):
        return Path(os.environ[ENVIRONMENT]).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser().absolute() / "gcpose-trt" / "plugins" / LIBRARY_NAME


def find(explicit: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of the built library.

    Args:
        explicit: the library, or the folder that has it, instead of `default_path`.

    Raises:
        GcposeError: there is no such file.
    """
    path = default_path() if explicit is None else Path(explicit).absolute()
    if path.is_dir():
        path = path / LIBRARY_NAME
    if not path.is_file():
        raise GcposeError(f"no plugin library at {path}; {_BUILD}")
    return path


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises:
        GcposeError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise GcposeError(f"cannot read {path} ({error.strerror}); {_REBUILD}") from error
    return digest.hexdigest()


def sidecar(path: str | os.PathLike[str]) -> Path:
    """Return where the JSON file lies that describes the library at `path`."""
    return Path(path).with_suffix(".json")


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what is known of a library.

    Returns:
        path, sha256, bytes; `build`: what the library says of itself (version, compiler, architectures, tensorrt,
        interface, cpu); `record`: the JSON that was written beside it, None if it is missing or of another library.

    Raises:
        GcposeError: there is no such file, or it is not a library of ours.
    """
    library = find(path)
    digest = sha256(library)
    return {
        "path": str(library),
        "sha256": digest,
        "bytes": library.stat().st_size,
        "build": build_info(library),
        "record": _record(library, digest),
    }


def build_info(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what the library says of itself; needs neither TensorRT nor a GPU.

    Raises:
        GcposeError: it cannot be loaded, or is not one of ours.
    """
    try:
        function = ctypes.CDLL(str(Path(path).absolute())).gcpose_build_info
        function.restype = ctypes.c_char_p
        info = json.loads(function())
    except (OSError, AttributeError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise GcposeError(f"{path} cannot be loaded as our plugin library ({reason}); {_REBUILD}") from error
    return dict(info)


def _record(library: Path, digest: str) -> dict[str, Any] | None:
    try:
        record = json.loads(sidecar(library).read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and record.get("sha256") == digest else None


def missing_creators(registry: Any) -> list[str]:
    """Return those of our creators that a TensorRT plugin registry does not have, where its ONNX parser looks.

    Args:
        registry: what `tensorrt.get_plugin_registry()` returns.
    """
    # TensorRT 10 and later list creators of both interfaces in all_creators; 8 has plugin_creator_list.
    listed = registry.all_creators if hasattr(registry, "all_creators") else registry.plugin_creator_list
    present = {
        str(creator.name)
        for creator in listed
        if str(creator.plugin_version) == CREATOR_VERSION and not creator.plugin_namespace
    }
    return [name for name in CREATORS if name not in present]


def load_into(registry: Any, path: str | os.PathLike[str]) -> None:
    """Bring the creators of a library to TensorRT; a second call does nothing.

    Args:
        registry: what `tensorrt.get_plugin_registry()` returns.
        path: the library.

    Raises:
        GcposeError: there is no such file, it cannot be loaded, or a creator is missing afterwards.
    """
    if not missing_creators(registry):
        return
    library = find(path)
    try:
        if hasattr(registry, "load_library"):
            registry.load_library(str(library))
        else:
            _register(library)
    except (OSError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise GcposeError(f"TensorRT cannot load the plugin library {library} ({reason}); {_REBUILD}") from error
    missing = missing_creators(registry)
    if missing:
        raise GcposeError(
            f"the plugin library {library} does not bring {', '.join(missing)} to this TensorRT; {_REBUILD}"
        )


def _register(library: Path) -> None:
    """Register with TensorRT 8.5, which cannot load libraries and whose Python cannot hand creators over."""
    # Its library is loaded already, so the loader finds it by name alone.
    nvinfer = ctypes.CDLL("libnvinfer.so.8")
    nvinfer.getPluginRegistry.restype = ctypes.c_void_p
    plugins = ctypes.CDLL(str(library))
    plugins.gcpose_register_creators.argtypes = [ctypes.c_void_p]
    if plugins.gcpose_register_creators(nvinfer.getPluginRegistry()) < len(CREATORS):
        raise RuntimeError("the registry refused its creators")
