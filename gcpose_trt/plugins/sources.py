"""The C++ and CUDA sources of the plugins: where they lie and which of them a library is made of."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gcpose_trt.errors import GcposeError

_PACKAGE = Path(__file__).resolve().parent.parent
KERNELS = ("multi_level_roi_align", "keypoint_decode", "letterbox", "gcm_attention", "nms")
# Not part of the library: what only tests use.
_APART = ("harness", "cpu_shim")


def source_folder() -> Path:
    """Return the folder of the sources: `plugins` of a clone, or the copy that a wheel carries.

    Raises:
        GcposeError: neither is there.
    """
    for folder in (_PACKAGE / "plugin_sources", _PACKAGE.parent / "plugins"):
        if (folder / "CMakeLists.txt").is_file():
            return folder
    raise GcposeError("the plugins' sources are missing from this installation; install gcpose-trt again")


def library_sources(interface: str) -> list[str]:
    """Return the files that are compiled into the plugin library, relative to `source_folder`.

    Args:
        interface: "v3" or "v2", TensorRT's plugin interface.
    """
    folder = source_folder()
    kernels = [f"{name}/kernel.cu" for name in KERNELS]
    glue = sorted(path.relative_to(folder).as_posix() for path in (folder / "tensorrt").glob("*.cpp"))
    return [*kernels, "c_api/gcpose_kernels.cpp", *glue, f"tensorrt/{interface}/plugin.cpp"]


def sources_sha256() -> str:
    """Return one digest of everything that a library depends on, names included."""
    folder = source_folder()
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] not in _APART and path.suffix in (".cu", ".cpp", ".h", ".map"):
            digest.update(f"{name.as_posix()}\0".encode())
            digest.update(path.read_bytes())
            digest.update(b"\0")
    return digest.hexdigest()
